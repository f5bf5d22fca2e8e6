// The Thumb instructions of the Cortex-M, ARMv6-M to ARMv8-M. Where an operand is: 0 to 9, C = 12 and G = 16 are the
// lowest bit of a register's number; h bits 0-2 and 7; m bits 3-6; s the stack pointer; p the link register; f the
// flags; i the flags where bit 20 says so; d, n, t floating-point registers; o the list.
#pragma once
#include "pattern.h"

static const Pattern SHORT[] = {
    {0xFC00, 0x1800, PLAIN, NONE, 0, "w0r3r6wf"},      // ADD, SUB of registers
    {0xFC00, 0x1C00, PLAIN, NONE, 0, "w0r3wf"},        // ADD, SUB of 3 bits
    {0xE000, 0x0000, SHIFT, NONE, 0, "w0r3wf"},        // LSL, LSR, ASR by an immediate
    {0xF800, 0x2000, PLAIN, NONE, 0, "w8wf"},          // MOV
    {0xF800, 0x2800, PLAIN, NONE, 0, "r8wf"},          // CMP
    {0xF000, 0x3000, PLAIN, NONE, 0, "x8wf"},          // ADD, SUB
    {0xFFC0, 0x4080, SHIFT, NONE, 0, "x0r3wf"},        // LSL by a register
    {0xFFC0, 0x40C0, SHIFT, NONE, 0, "x0r3wf"},        // LSR
    {0xFFC0, 0x4100, SHIFT, NONE, 0, "x0r3wf"},        // ASR
    {0xFFC0, 0x4140, PLAIN, NONE, 0, "x0r3xf"},        // ADC
    {0xFFC0, 0x4180, PLAIN, NONE, 0, "x0r3xf"},        // SBC
    {0xFFC0, 0x41C0, SHIFT, NONE, 0, "x0r3wf"},        // ROR
    {0xFFC0, 0x4200, PLAIN, NONE, 0, "r0r3wf"},        // TST
    {0xFFC0, 0x4240, PLAIN, NONE, 0, "w0r3wf"},        // RSB
    {0xFF80, 0x4280, PLAIN, NONE, 0, "r0r3wf"},        // CMP, CMN
    {0xFFC0, 0x4340, MULTIPLY, NONE, 0, "x0r3wf"},     // MUL
    {0xFFC0, 0x43C0, PLAIN, NONE, 0, "w0r3wf"},        // MVN
    {0xFC00, 0x4000, PLAIN, NONE, 0, "x0r3wf"},        // AND, EOR, ORR, BIC
    {0xFF87, 0x4487, BRANCH, NONE, 0, "rm"},           // ADD to the program counter
    {0xFF00, 0x4400, PLAIN, NONE, 0, "xhrm"},          // ADD
    {0xFF00, 0x4500, PLAIN, NONE, 0, "rhrmwf"},        // CMP
    {0xFF87, 0x4687, BRANCH, NONE, 0, "rm"},           // MOV to the program counter
    {0xFF00, 0x4600, PLAIN, NONE, 0, "whrm"},          // MOV
    {0xFF80, 0x4700, BRANCH, NONE, 0, "rm"},           // BX
    {0xFF80, 0x4780, BRANCH, NONE, 0, "rmwp"},         // BLX
    {0xF800, 0x4800, LOAD, NONE, 1, "w8"},             // LDR literal
    {0xFE00, 0x5000, STORE, NONE, 0, "l0e3e6"},        // STR register offset
    {0xFE00, 0x5200, STORE, NONE, 0, "l0e3e6"},        // STRH
    {0xFE00, 0x5400, STORE, NONE, 0, "l0e3e6"},        // STRB
    {0xFE00, 0x5800, LOAD, NONE, 1, "w0e3e6"},         // LDR
    {0xF000, 0x5000, NARROW_LOAD, NONE, 1, "w0e3e6"},  // LDR(S)(B|H)
    {0xF800, 0x6000, STORE, NONE, 0, "l0e3"},          // STR immediate offset
    {0xF800, 0x6800, LOAD, NONE, 1, "w0e3"},           // LDR
    {0xF800, 0x7000, STORE, NONE, 0, "l0e3"},          // STRB
    {0xF800, 0x7800, NARROW_LOAD, NONE, 1, "w0e3"},    // LDRB
    {0xF800, 0x8000, STORE, NONE, 0, "l0e3"},          // STRH
    {0xF800, 0x8800, NARROW_LOAD, NONE, 1, "w0e3"},    // LDRH
    {0xF800, 0x9000, STORE, NONE, 0, "l8es"},          // STR SP offset
    {0xF800, 0x9800, LOAD, NONE, 1, "w8es"},           // LDR SP offset
    {0xF800, 0xA000, PLAIN, NONE, 0, "w8"},            // ADR
    {0xF800, 0xA800, PLAIN, NONE, 0, "w8rs"},          // ADD of SP
    {0xFF00, 0xB000, PLAIN, NONE, 0, "xs"},            // ADD, SUB to SP
    {0xF500, 0xB100, BRANCH, NONE, 0, "r0"},           // CBZ, CBNZ
    {0xFF00, 0xB200, DSP, NONE, 0, "w0r3"},            // SXTH, SXTB, UXTH, UXTB
    {0xFE00, 0xB400, MULTIPLE, BITS_9, 0, "loes"},     // PUSH
    {0xFF00, 0xBA00, DSP_SHIFT, NONE, 0, "w0e3"},      // REV, REV16, REVSH
    {0xFF00, 0xBD00, RETURN, BITS_9, 1, "woes"},       // POP with the program counter
    {0xFE00, 0xBC00, MULTIPLE, BITS_9, 1, "woes"},     // POP
    {0xFF0F, 0xBF00, PLAIN, NONE, 0, ""},              // NOP
    {0xFF00, 0xBF00, PLAIN, NONE, 0, "rf"},            // IT
    {0xF800, 0xC000, MULTIPLE, BITS_8, 0, "loe8"},     // STM
    {0xF800, 0xC800, MULTIPLE, BITS_8, 1, "woe8"},     // LDM
    {0xF000, 0xD000, BRANCH, NONE, 0, ""},             // B on a condition
    {0xF800, 0xE000, BRANCH, NONE, 0, ""},             // B
};

static const Pattern LONG[] = {
    {0xFFF0FFE0, 0xE8D0F000, TABLE_BRANCH, NONE, 1, "eGe0"},               // TBB, TBH
    {0xFE500000, 0xE8100000, MULTIPLE, BITS_16, 1, "woeG"},                // LDM, POP
    {0xFE500000, 0xE8000000, MULTIPLE, BITS_16, 0, "loeG"},                // STM, PUSH
    {0xFF700000, 0xE8500000, EXCLUSIVE, NONE, 1, "wCeG"},                  // LDREX
    {0xFF700000, 0xE8400000, EXCLUSIVE, NONE, 0, "w8lCeG"},                // STREX
    {0xFFF000C0, 0xE8D00040, EXCLUSIVE, NONE, 1, "wCeG"},                  // LDREXB, LDREXH
    {0xFFF000C0, 0xE8C00040, EXCLUSIVE, NONE, 0, "w0lCeG"},                // STREXB, STREXH
    {0xFE500000, 0xE8500000, PAIR, NONE, 1, "wCw8eG"},                     // LDRD
    {0xFE500000, 0xE8400000, PAIR, NONE, 0, "lCl8eG"},                     // STRD
    {0xFFEF70F0, 0xEA4F0000, PLAIN, NONE, 0, "w8r0wi"},                    // MOV
    {0xFFEF0000, 0xEA4F0000, SHIFT, NONE, 0, "w8r0wi"},                    // LSL, LSR, ASR, ROR by an immediate
    {0xFFF00000, 0xEAC00000, DSP_SHIFT, NONE, 0, "w8rGe0"},                // PKHBT, PKHTB
    {0xFFC070F0, 0xEB400000, PLAIN, NONE, 0, "w8rGr0rfwi"},                // ADC, SBC
    {0xFE0070F0, 0xEA000000, PLAIN, NONE, 0, "w8rGr0wi"},                  // ADD, SUB, AND, ORR, CMP ...
    {0xFFC00000, 0xEB400000, SHIFT, NONE, 0, "w8rGe0rfwi"},                // ADC, SBC with a shift
    {0xFE000000, 0xEA000000, SHIFT, NONE, 0, "w8rGe0wi"},                  // the others with a shift
    {0xFFE00000, 0xEC400000, FLOAT_MOVE_PAIR, NONE, 0, ""},                // VMOV of two registers
    {0xFF300F00, 0xED100A00, FLOAT_LOAD, NONE, 1, "wdeG"},                 // VLDR, 32 bits
    {0xFF300F00, 0xED100B00, PAIR, NONE, 1, "wdeG"},                       // VLDR, 64 bits
    {0xFF300F00, 0xED000A00, FLOAT_STORE, NONE, 0, "ldeG"},                // VSTR, 32 bits
    {0xFF300F00, 0xED000B00, PAIR, NONE, 0, "ldeG"},                       // VSTR, 64 bits
    {0xFE100E00, 0xEC100A00, MULTIPLE, COUNT_8, 1, "woeG"},                // VLDM, VPOP
    {0xFE100E00, 0xEC000A00, MULTIPLE, COUNT_8, 0, "loeG"},                // VSTM, VPUSH
    {0xFFFFFFFF, 0xEEF1FA10, FLOAT_MOVE, NONE, 0, "xf"},                   // VMRS of the flags
    {0xFF100010, 0xEE100010, FLOAT_MOVE, NONE, 0, "wCrn"},                 // VMOV to a core's register, VMRS
    {0xFF100010, 0xEE000010, FLOAT_MOVE, NONE, 0, "rCwn"},                 // VMOV from one, VMSR
    {0xFFB00E00, 0xEE000A00, FLOAT_MULTIPLY_ADD, NONE, 0, "wdldrnrt"},     // VMLA, VMLS
    {0xFFB00E00, 0xEE100A00, FLOAT_MULTIPLY_ADD, NONE, 0, "wdldrnrt"},     // VNMLA, VNMLS
    {0xFFB00E00, 0xEE900A00, FLOAT_MULTIPLY_ADD, NONE, 0, "wdldrnrt"},     // VFNMA, VFNMS
    {0xFFB00E00, 0xEEA00A00, FLOAT_MULTIPLY_ADD, NONE, 0, "wdldrnrt"},     // VFMA, VFMS
    {0xFFB00E00, 0xEE800A00, FLOAT_DIVIDE, NONE, 0, "wdrnrt"},             // VDIV
    {0xFFBF0ED0, 0xEEB10AC0, FLOAT_DIVIDE, NONE, 0, "wdrt"},               // VSQRT
    {0xFFBF0E50, 0xEEB50A40, FLOAT, NONE, 0, "rdwf"},                      // VCMP with zero
    {0xFFBE0E50, 0xEEB40A40, FLOAT, NONE, 0, "rdrtwf"},                    // VCMP
    {0xFFB00E50, 0xEEB00A40, FLOAT, NONE, 0, "wdrt"},                      // VMOV, VABS, VNEG, VCVT
    {0xFFB00E50, 0xEEB00A00, FLOAT, NONE, 0, "wd"},                        // VMOV of an immediate
    {0xEF000E10, 0xEE000A00, FLOAT, NONE, 0, "wdrnrt"},                    // VADD, VSUB, VMUL, VSEL
    {0xFBF08000, 0xF2400000, PLAIN, NONE, 0, "w8"},                        // MOVW
    {0xFBF08000, 0xF2C00000, PLAIN, NONE, 0, "x8"},                        // MOVT
    {0xFF508000, 0xF3000000, SATURATE, NONE, 0, "w8eG"},                   // SSAT, USAT
    {0xFF708000, 0xF3400000, DSP_SHIFT, NONE, 0, "w8eG"},                  // SBFX, UBFX
    {0xFFF08000, 0xF3600000, DSP_SHIFT, NONE, 0, "x8rG"},                  // BFI, BFC
    {0xFBC08000, 0xF1400000, PLAIN, NONE, 0, "w8rGrfwi"},                  // ADC, SBC of an immediate
    {0xFA008000, 0xF0000000, PLAIN, NONE, 0, "w8rGwi"},                    // the others of an immediate
    {0xFA008000, 0xF2000000, PLAIN, NONE, 0, "w8rG"},                      // ADDW, SUBW, ADR
    {0xF800D000, 0xF000D000, CALL, NONE, 0, "wp"},                         // BL
    {0xFFF0D000, 0xF3A08000, PLAIN, NONE, 0, ""},                          // NOP and other hints
    {0xFF80D000, 0xF3808000, SYSTEM, NONE, 0, ""},                         // MRS, MSR, DMB, DSB, ISB
    {0xF8008000, 0xF0008000, BRANCH, NONE, 0, ""},                         // B
    {0xFE50F000, 0xF810F000, PLAIN, NONE, 0, ""},                          // PLD, PLI: hints
    {0xFEF00FC0, 0xF8500000, LOAD, NONE, 1, "wCeGe0"},                     // LDR register offset
    {0xFE700000, 0xF8500000, LOAD, NONE, 1, "wCeG"},                       // LDR, any other offset
    {0xFE900FC0, 0xF8100000, NARROW_LOAD, NONE, 1, "wCeGe0"},              // LDR(S)(B|H) register offset
    {0xFE100000, 0xF8100000, NARROW_LOAD, NONE, 1, "wCeG"},                // LDR(S)(B|H), any other offset
    {0xFE900FC0, 0xF8000000, STORE, NONE, 0, "lCeGe0"},                    // STR(B|H) register offset
    {0xFE100000, 0xF8000000, STORE, NONE, 0, "lCeG"},                      // STR(B|H), any other offset
    {0xFF80F0F0, 0xFA00F000, SHIFT, NONE, 0, "w8rGr0wi"},                  // LSL, LSR, ASR, ROR by a register
    {0xFF8FF080, 0xFA0FF080, DSP, NONE, 0, "w8r0"},                        // SXTH, SXTB16 ...
    {0xFF80F080, 0xFA00F080, DSP_SHIFT, NONE, 0, "w8rGe0"},                // SXTAH, SXTAB16 ...
    {0xFF80F0B0, 0xFA80F010, SATURATE, NONE, 0, "w8rGr0"},                 // QADD16, UQSUB8 ...
    {0xFF80F080, 0xFA80F000, DSP, NONE, 0, "w8rGr0"},                      // SADD16, UHADD8 ...
    {0xFFF0F0C0, 0xFA80F080, SATURATE, NONE, 0, "w8eGe0"},                 // QADD, QDADD ...
    {0xFFF0F0C0, 0xFA90F080, DSP_SHIFT, NONE, 0, "w8e0"},                  // REV, RBIT
    {0xFFF0F0C0, 0xFAA0F080, DSP, NONE, 0, "w8rGr0"},                      // SEL
    {0xFFF0F0C0, 0xFAB0F080, DSP, NONE, 0, "w8r0"},                        // CLZ
    {0xFF800000, 0xFB000000, MULTIPLY, NONE, 0, "w8rGr0lC"},               // MUL, MLA, SMLAD, SMMLAR ...
    {0xFFD000F0, 0xFB9000F0, DIVIDE, NONE, 0, "w8rGr0"},                   // SDIV, UDIV
    {0xFFD00000, 0xFB800000, MULTIPLY, NONE, 0, "wCw8rGr0"},               // SMULL, UMULL
    {0xFF800000, 0xFB800000, MULTIPLY, NONE, 0, "wCw8lCl8rGr0"},           // SMLAL, SMLALD, UMAAL ...
};
