// Where an engine's constant tables lie. Empty: with the program. A build may name a section of its linker script,
// for a flash beside the program's or RAM: -DTFODL_TABLE='__attribute__((section(".qspi")))'.
#ifndef TFODL_TABLE_H
#define TFODL_TABLE_H

#ifndef TFODL_TABLE
#define TFODL_TABLE
#endif

#endif  // TFODL_TABLE_H
