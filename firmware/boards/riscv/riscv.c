#include "riscv/riscv.h"

#include "common/fault.h"
#include "common/startup.h"

int main(void);
void riscv_exception(uint32_t lr, uint32_t sp);

__attribute__((used)) void riscv_start(void) {
    startup_memory();
    (void)main();
    for (;;) {
        board_reset();
    }
}

/* The stack may be what failed: the report is made on a fresh one. */
__attribute__((naked, aligned(4), used)) void riscv_trap(void) {
    __asm volatile("mv a0, ra\n"
                   "mv a1, sp\n"
                   "la sp, __stack_top\n"
                   "j riscv_exception\n");
}

__attribute__((used)) void riscv_exception(uint32_t lr, uint32_t sp) {
    board_fault_t fault = {.cause = STAPES_FAULT_EXCEPTION, .lr = lr, .sp = sp};
    __asm volatile(CONTROL_REGISTERS "csrr %0, mepc\n"
                                     "csrr %1, mstatus\n"
                                     "csrr %2, mcause\n"
                                     "csrr %3, mtval\n"
                   : "=r"(fault.pc), "=r"(fault.psr), "=r"(fault.status), "=r"(fault.address));
    fault_keep(&fault);
    board_reset();
}
