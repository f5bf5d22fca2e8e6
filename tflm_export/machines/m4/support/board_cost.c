// Instructions and stack of one call. Under `-icount shift=0` one instruction takes 1 ns of virtual time and
// the board's 25 MHz timer (CMSDK APB, a down counter) ticks every 40 instructions. Before and after the call
// the timer is read in 40 consecutive instructions; where its value steps tells the time within a tick.
#include "board.h"

#define TIMER_CTRL (*(volatile uint32_t*)0x40000000)
#define TIMER_VALUE (*(volatile uint32_t*)0x40000004)
#define TIMER_RELOAD (*(volatile uint32_t*)0x40000008)
enum { INSTRUCTIONS_A_TICK = 40, BLOCKS = 6, BLOCK = 8, SAMPLES = BLOCKS * BLOCK, PAINT = 0xC5C5C5C5 };
enum { MOST_LAPS = 640 };

extern uint32_t stack_limit;

// Eight loads and one store, six times: sample i is taken i + i / 8 instructions after the first.
__attribute__((noinline)) static void sample_timer(uint32_t* samples) {
  __asm volatile(
      ".rept 6\n"
      "ldr r1, [%[timer]]\n ldr r2, [%[timer]]\n ldr r3, [%[timer]]\n ldr r4, [%[timer]]\n"
      "ldr r5, [%[timer]]\n ldr r6, [%[timer]]\n ldr r8, [%[timer]]\n ldr r9, [%[timer]]\n"
      "stmia %[out]!, {r1, r2, r3, r4, r5, r6, r8, r9}\n"
      ".endr\n"
      : [out] "+r"(samples)
      : [timer] "r"(&TIMER_VALUE)
      : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "memory");
}

// When the first sample was taken, in instructions since the timer was started (plus a constant).
static uint64_t time_of(const uint32_t* samples) {
  uint32_t i = 1;
  while (i + 1 < SAMPLES && samples[i] == samples[i - 1]) ++i;
  return (uint64_t)(0xFFFFFFFFu - samples[i]) * INSTRUCTIONS_A_TICK - (i + i / BLOCK);
}

static uint64_t count(void (*function)(void*), void* argument) {
  uint32_t before[SAMPLES], after[SAMPLES];
  sample_timer(before);
  function(argument);
  sample_timer(after);
  return time_of(after) - time_of(before);
}

static void nothing(void* argument) { (void)argument; }

__attribute__((noinline)) static uint32_t* stack_pointer(void) {
  uint32_t* pointer;
  __asm volatile("mov %0, sp" : "=r"(pointer));
  return pointer;
}

static void paint_stack(void) {
  const uint32_t* const end = stack_pointer() - 16;
  for (volatile uint32_t* word = &stack_limit; word < end; ++word) *word = PAINT;
}

static uint32_t painted_bytes(void) {
  const volatile uint32_t* word = &stack_limit;
  const uint32_t* const end = stack_pointer();
  while (word < end && *word == PAINT) ++word;
  return (uint32_t)word - (uint32_t)&stack_limit;
}

static uint32_t laps[MOST_LAPS][SAMPLES];
static uint32_t numbers[MOST_LAPS], n_laps;

// Always as many instructions: those between two laps in a row are its own.
__attribute__((noinline)) void board_lap(uint32_t number) {
  if (n_laps == MOST_LAPS) board_exit(97);
  numbers[n_laps] = number;
  sample_timer(laps[n_laps++]);
}

// "lap N" and "took I": instructions since the lap before.
static void print_laps(void) {
  const uint32_t n = n_laps;
  if (n == 0) return;
  n_laps = 0;
  const uint64_t own = time_of(laps[1]) - time_of(laps[0]);
  for (uint32_t i = 2; i < n; ++i) {
    const uint64_t took = time_of(laps[i]) - time_of(laps[i - 1]);
    board_print_number("lap", numbers[i]);
    board_print_number("took", took > own ? took - own : 0);
  }
}

BoardCost board_measure(void (*function)(void*), void* argument) {
  n_laps = 0;
  TIMER_CTRL = 0;
  TIMER_RELOAD = 0xFFFFFFFF;
  TIMER_VALUE = 0xFFFFFFFF;
  TIMER_CTRL = 1;
  paint_stack();
  const uint64_t overhead = count(nothing, 0);
  const uint32_t painted_before = painted_bytes();
  BoardCost cost;
  const uint64_t instructions = count(function, argument);
  cost.instructions = instructions > overhead ? instructions - overhead : 0;
  cost.stack_bytes = painted_before - painted_bytes();
  print_laps();
  return cost;
}
