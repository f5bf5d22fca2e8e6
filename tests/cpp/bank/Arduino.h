// The clock that BankFlash waits by.
#pragma once
#include <stdint.h>

unsigned long millis();
