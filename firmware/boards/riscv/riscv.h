/* What the RISC-V boards share: start-up and the report of a fault. Registers: The RISC-V Instruction Set
 * Manual, Volume II (privileged architecture, 20211203), 3.1 machine-level CSRs. */
#ifndef STAPES_RISCV_H
#define STAPES_RISCV_H

#include <stdint.h>

#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* The C library comes for RV32IMC, which names no control registers. */
#define CONTROL_REGISTERS ".option arch, +zicsr\n"

/* Prepares RAM and calls main; the board's entry jumps here with the stack pointer set. */
__attribute__((noreturn)) void riscv_start(void);

/* Where mtvec points, or what its handler jumps to: keeps the exception as board_fault()'s report and
 * restarts. */
void riscv_trap(void);

#endif
