#include "cortex_m/cortex_m.h"

#include <stddef.h>

#define STACK_PAINT 0x5AA5C33Cu

#define SYST_CSR   REGISTER(0xE000E010u)
#define SYST_RVR   REGISTER(0xE000E014u)
#define SYST_CVR   REGISTER(0xE000E018u)
#define SCB_CPACR  REGISTER(0xE000ED88u)
#define SCB_AIRCR  REGISTER(0xE000ED0Cu)
#define SCB_DEMCR  REGISTER(0xE000EDFCu)
#define DWT_CTRL   REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)

#define AIRCR_RESET        0x05FA0004u /* key and SYSRESETREQ */
#define DEMCR_TRCENA       0x01000000u
#define SYSTICK_MASK       0xFFFFFFu
#define SYSTICK_ENABLE     1u
#define SYSTICK_CORE_CLOCK 4u
#define DWT_CYCCNTENA      1u

extern uint32_t __stack_limit[], __stack_top[];
extern uint32_t __data_start[], __data_end[], __data_load[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);
void stapes_reset_handler(void);
void stapes_fault_handler(void);

typedef void (*vector_t)(void);

/* Only the core's own exceptions; a board that uses interrupts appends its table in .vectors. */
__attribute__((section(".vectors"), used)) const vector_t stapes_vectors[16] = {
    (vector_t)(uintptr_t)__stack_top,
    stapes_reset_handler,
    stapes_fault_handler, /* NMI */
    stapes_fault_handler, /* HardFault */
    stapes_fault_handler, /* MemManage */
    stapes_fault_handler, /* BusFault */
    stapes_fault_handler, /* UsageFault */
    stapes_fault_handler, /* SecureFault (Armv8-M) */
    NULL,
    NULL,
    NULL,
    stapes_fault_handler, /* SVCall */
    stapes_fault_handler, /* DebugMonitor */
    NULL,
    stapes_fault_handler, /* PendSV */
    stapes_fault_handler, /* SysTick */
};

/* The loops must not become calls of memcpy or memset before RAM is ready. */
__attribute__((noreturn, optimize("no-tree-loop-distribute-patterns"))) void stapes_reset_handler(void) {
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
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
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    SCB_CPACR |= 0xFu << 20; /* full access to the floating-point and vector unit */
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    (void)main();
    cortex_m_reset();
    for (;;) {
    }
}

/* Semihosting's breakpoint faults where nobody serves it: then it answers -1. Any other fault restarts the
 * firmware. */
__attribute__((naked)) void stapes_fault_handler(void) {
    __asm volatile("mov r0, sp\n" /* the stacked r0 .. pc; the firmware uses the main stack only */
                   "ldr r1, [r0, #24]\n"
                   "ldrh r2, [r1]\n"
                   "ldr r3, =0xBEAB\n"
                   "cmp r2, r3\n"
                   "bne 1f\n"
                   "adds r1, #2\n"
                   "str r1, [r0, #24]\n"
                   "movs r1, #0\n"
                   "mvns r1, r1\n"
                   "str r1, [r0]\n"
                   "bx lr\n"
                   "1: bl cortex_m_reset\n"
                   ".ltorg\n");
}

uint32_t cortex_m_stack_high_water(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)__stack_top - (uintptr_t)word);
}

#if __ARM_ARCH_ISA_THUMB >= 2
bool cortex_m_start_cycle_counter(void) {
    SCB_DEMCR |= DEMCR_TRCENA;
    DWT_CYCCNT = 0u;
    DWT_CTRL |= DWT_CYCCNTENA;
    uint32_t start = DWT_CYCCNT;
    for (volatile int i = 0; i < 16; i++) {
    }
    return DWT_CYCCNT != start;
}

uint32_t cortex_m_cycles(void) {
    return DWT_CYCCNT;
}
#endif

void cortex_m_start_systick(void) {
    SYST_RVR = SYSTICK_MASK;
    SYST_CVR = 0u;
    SYST_CSR = SYSTICK_CORE_CLOCK | SYSTICK_ENABLE;
}

uint32_t cortex_m_systick(void) {
    static uint32_t total, last;
    uint32_t now = ~SYST_CVR & SYSTICK_MASK; /* counts down */
    total += (now - last) & SYSTICK_MASK;
    last = now;
    return total;
}

void cortex_m_reset(void) {
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}
