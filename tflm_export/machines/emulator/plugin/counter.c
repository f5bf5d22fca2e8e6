// A QEMU plugin that counts cycles (model.h), instructions and data reads from flash of the engine's code,
// which lies below the harness's. At the entry of every function `board_mark_X` it writes the totals so far:
// "X <cycles> <instructions> <flash reads>". Arguments: model=NAME,harness=ADDRESS,ram=ADDRESS,out=FILE.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "qemu_plugin.h"

#define PUBLIC __attribute__((visibility("default")))
#define MARK "board_mark_"
enum { RAM_BYTES = 0x01000000 };  // from `ram` on; what is elsewhere is flash

typedef struct {
  uint64_t start, end;
  int counts;  // whether it is the engine's
  uint64_t instructions;
  const void* prepared;  // the model's
} Block;

PUBLIC int qemu_plugin_version = 1;
static uint64_t harness, ram, cycles, instructions, flash_reads;
static const Model* model;
static const Block* last;
static FILE* out;

// A block that does not start where the last one ended was jumped to.
static Entry entry_of(const Block* block) {
  if (last == NULL || !last->counts) return ENTERED;
  return block->start == last->end ? FOLLOWS : JUMPED;
}

static void on_block(unsigned vcpu, void* data) {
  (void)vcpu;
  const Block* block = data;
  if (block->counts) {
    cycles += model->run(model, block->prepared, entry_of(block));
    instructions += block->instructions;
  }
  last = block;
}

static void on_read(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
  (void)vcpu, (void)info, (void)data;
  flash_reads += address < ram || address >= ram + RAM_BYTES;
}

static void on_mark(unsigned vcpu, void* name) {
  (void)vcpu;
  fprintf(out, "%s %llu %llu %llu\n", (const char*)name, (unsigned long long)cycles,
          (unsigned long long)instructions, (unsigned long long)flash_reads);
}

// The instruction of a block of the engine's; it is watched where it reads.
static Instruction taken_in(Block* block, struct qemu_plugin_insn* insn) {
  const Instruction one = model->decode(qemu_plugin_insn_data(insn));
  block->end += one.bytes;
  if (one.reads && block->counts) {
    qemu_plugin_register_vcpu_mem_cb(insn, on_read, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
  }
  return one;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  const size_t n = qemu_plugin_tb_n_insns(tb);
  Block* block = calloc(1, sizeof *block);  // lives as long as QEMU may run it: to the end
  block->start = block->end = qemu_plugin_tb_vaddr(tb);
  block->counts = block->start < harness;
  block->instructions = n;
  Instruction* all = calloc(n, sizeof *all);
  for (size_t i = 0; i < n; ++i) all[i] = taken_in(block, qemu_plugin_tb_get_insn(tb, i));
  if (block->counts) block->prepared = model->prepare(model, all, n);
  free(all);
  qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, block);
  const char* symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0));
  if (symbol != NULL && strncmp(symbol, MARK, strlen(MARK)) == 0) {
    void* name = strdup(symbol + strlen(MARK));
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_mark, QEMU_PLUGIN_CB_NO_REGS, name);
  }
}

static void close_out(qemu_plugin_id_t id, void* data) {
  (void)id, (void)data;
  fclose(out);
}

PUBLIC int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int n, char** arguments) {
  (void)info;
  for (int i = 0; i < n; ++i) {
    if (strncmp(arguments[i], "harness=", 8) == 0) harness = strtoull(arguments[i] + 8, NULL, 0);
    if (strncmp(arguments[i], "ram=", 4) == 0) ram = strtoull(arguments[i] + 4, NULL, 0);
    if (strncmp(arguments[i], "model=", 6) == 0) model = model_named(arguments[i] + 6);
    if (strncmp(arguments[i], "out=", 4) == 0) out = fopen(arguments[i] + 4, "w");
  }
  if (out == NULL || model == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, close_out, NULL);
  return 0;
}
