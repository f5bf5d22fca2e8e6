// Reset and exceptions: what lies at the places where the core looks for them.
  .section .vectors, "ax"
  .global board_reset
  .type board_reset, @function
board_reset:
  j begin
  .balign 16
  .literal_position
begin:
  movi a2, vectors
  wsr a2, vecbase
  movi a2, 0x20  // no interrupt is masked, no exception is under way
  wsr a2, ps
  rsync
  movi sp, stack_top
  movi a0, board_start
  jx a0

  .section .board_vectors, "ax"
  .balign 0x100
vectors:
  .org vectors + 0x30  // of the kernel
  j faulted
  .org vectors + 0x50  // of a program
  j faulted
  .org vectors + 0x70  // of an exception
  j faulted
  .balign 16
  .literal_position
faulted:
  movi sp, board_fault_stack  // a fresh stack in the harness's memory, so that a stack overflow can be told too
  mov a2, a0
  movi a3, 0x20  // what follows may print
  wsr a3, ps
  rsync
  movi a3, board_report_fault
  jx a3
