// Where an engine's constant tables lie. Empty: with the program. A build may name a section of its linker script,
// for a flash beside the program's or RAM: -DTFODL_TABLE='__attribute__((section(".qspi")))'.
#pragma once

#ifndef TFODL_TABLE
#define TFODL_TABLE
#endif
