#include "riscv/riscv.h"

#define STACK_PAINT 0x5AA5C33Cu
#define FAULT_KEPT  0xFA171234u

extern uint32_t __stack_limit[], __stack_top[];
extern uint32_t __data_start[], __data_end[], __data_load[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);
void riscv_keep_fault(uint32_t lr, uint32_t sp);

static struct {
    uint32_t kept;
    board_fault_t fault;
} last __attribute__((section(".noinit"))); /* start-up leaves it alone */

/* The loops must not become calls of memcpy or memset before RAM is ready. */
__attribute__((used, optimize("no-tree-loop-distribute-patterns"))) void riscv_start(void) {
    uint32_t *here;
    __asm volatile("mv %0, sp" : "=r"(here));
    for (uint32_t *word = __stack_limit; word < here; word++) {
        *word = STACK_PAINT;
    }
    const uint32_t *load = __data_load;
    for (uint32_t *word = __data_start; word < __data_end; word++) {
        *word = *load++;
    }
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0u;
    }
    (void)main();
    for (;;) {
        board_reset();
    }
}

/* The stack may be what failed: the report is written on a fresh one. */
__attribute__((naked, aligned(4), used)) void riscv_trap(void) {
    __asm volatile("mv a0, ra\n"
                   "mv a1, sp\n"
                   "la sp, __stack_top\n"
                   "j riscv_keep_fault\n");
}

__attribute__((used)) void riscv_keep_fault(uint32_t lr, uint32_t sp) {
    board_fault_t *fault = &last.fault;
    fault->cause = STAPES_FAULT_EXCEPTION;
    fault->lr = lr;
    fault->sp = sp;
    __asm volatile(CONTROL_REGISTERS "csrr %0, mepc\n"
                                     "csrr %1, mstatus\n"
                                     "csrr %2, mcause\n"
                                     "csrr %3, mtval\n"
                   : "=r"(fault->pc), "=r"(fault->psr), "=r"(fault->status), "=r"(fault->address));
    last.kept = FAULT_KEPT;
    board_reset();
}

int riscv_fault(board_fault_t *fault) {
    if (last.kept != FAULT_KEPT) {
        return 0;
    }
    last.kept = 0u;
    *fault = last.fault;
    return 1;
}

uint32_t riscv_stack_high_water(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)__stack_top - (uintptr_t)word);
}
