/* What the RISC-V boards share: start-up, stack paint, the report of a fault. Registers: The RISC-V
   Instruction Set Manual, Volume II (privileged architecture, 20211203), 3.1 machine-level CSRs. */
#ifndef STAPES_RISCV_H
#define STAPES_RISCV_H

#include <stdint.h>

#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The C library comes for RV32IMC, which names no control registers. */
#define CONTROL_REGISTERS ".option arch, +zicsr\n"

/* Paints the stack, prepares RAM and calls main; the board's entry jumps here with the stack pointer set. */
__attribute__((noreturn)) void riscv_start(void);

/* Where mtvec points, or what its handler jumps to with all registers as they were: reports the exception and
 * restarts. */
void riscv_trap(void);

/* The report of board_fault(): what riscv_trap() left before the restart. */
int riscv_fault(board_fault_t *fault);

uint32_t riscv_stack_high_water(void);

#endif
