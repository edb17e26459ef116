#include "cortex_m/cortex_m.h"

#include <stddef.h>

#include "common/fault.h"
#include "common/startup.h"

#define SYST_CSR   REGISTER(0xE000E010u)
#define SYST_RVR   REGISTER(0xE000E014u)
#define SYST_CVR   REGISTER(0xE000E018u)
#define NVIC_ISER  REGISTERS(0xE000E100u)
#define NVIC_IPR   REGISTERS(0xE000E400u)
#define NVIC_ICER  REGISTERS(0xE000E180u)
#define SCB_ICSR   REGISTER(0xE000ED04u)
#define SCB_VTOR   REGISTER(0xE000ED08u)
#define SCB_AIRCR  REGISTER(0xE000ED0Cu)
#define SCB_CFSR   REGISTER(0xE000ED28u)
#define SCB_MMFAR  REGISTER(0xE000ED34u)
#define SCB_BFAR   REGISTER(0xE000ED38u)
#define SCB_CPACR  REGISTER(0xE000ED88u)
#define SCB_DEMCR  REGISTER(0xE000EDFCu)
#define DWT_CTRL   REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR    REGISTER(0xE0001FB0u)

#define AIRCR_RESET        0x05FA0004u /* key and SYSRESETREQ */
#define DEMCR_TRCENA       0x01000000u
#define SYSTICK_MASK       0xFFFFFFu
#define SYSTICK_ENABLE     1u
#define SYSTICK_CORE_CLOCK 4u
#define DWT_CYCCNTENA      1u
#define LAR_UNLOCK         0xC5ACCE55u
#define CFSR_MEMORY        0x000000FFu
#define CFSR_MMFAR_VALID   0x00000080u
#define CFSR_BUS           0x0000FF00u
#define CFSR_BFAR_VALID    0x00008000u
#define ICSR_ACTIVE        0x1FFu
#define EXCEPTION_NMI      2u
#define LOWEST_PRIORITY    0xC0u /* the two bits that every core has */

/* Frame that the core stacks: r0-r3, r12, lr, pc, psr; then floating-point registers and a word that aligns
 * (Armv7-M, B1.5.7). */
enum { FRAME_LR = 5, FRAME_PC = 6, FRAME_PSR = 7, FRAME_WORDS = 8, FLOAT_WORDS = 18 };
#define RETURN_WITHOUT_FLOATS 0x10u
#define PSR_ALIGNED           (1u << 9)

extern uint32_t __stack_limit[], __stack_top[];
extern const uint32_t stapes_vectors[];

int main(void);

__attribute__((noreturn)) void stapes_reset_handler(void) {
    startup_memory();
#if __ARM_ARCH_ISA_THUMB >= 2
    SCB_VTOR = (uint32_t)(uintptr_t)stapes_vectors; /* a boot loader had its own */
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    SCB_CPACR |= 0xFu << 20; /* full access to the floating-point and vector unit */
    __asm volatile("dsb\n isb" ::: "memory");
#endif
#if defined(CORTEX_M_CACHES)
    cortex_m_enable_caches();
#endif
    __asm volatile("cpsie i" ::: "memory"); /* a boot loader may have masked them */
    (void)main();
    cortex_m_reset();
}

/* Semihosting's breakpoint faults where nobody serves it: then it answers -1. Any other fault is kept as a
 * report and restarts the firmware. The firmware uses the main stack only; where that has overflowed, nothing
 * was stacked and the report is made on a fresh stack. */
__attribute__((naked)) void stapes_fault_handler(void) {
    __asm volatile("mov r0, sp\n"
                   "ldr r1, =__stack_limit\n"
                   "cmp r0, r1\n"
                   "blo 2f\n"
                   "ldr r1, [r0, #24]\n" /* the stacked pc; it may point anywhere */
                   "ldr r2, =stapes_vectors\n"
                   "subs r2, r1, r2\n"
                   "ldr r3, =__text_bytes\n"
                   "cmp r2, r3\n"
                   "bhs 1f\n"
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
                   "1: ldr r1, =__stack_limit + 256\n"
                   "cmp r0, r1\n"
                   "bhs 3f\n"
                   "2: ldr r1, =__stack_top\n"
                   "mov sp, r1\n"
                   "3: mov r1, lr\n"
                   "bl cortex_m_fault\n"
                   ".ltorg\n");
}

__attribute__((noreturn, used)) void cortex_m_fault(const uint32_t *frame, uint32_t exception_return) {
    board_fault_t fault = {.cause = STAPES_FAULT_HARD, .sp = (uint32_t)(uintptr_t)frame};
#if __ARM_ARCH_ISA_THUMB >= 2
    fault.status = SCB_CFSR;
    if ((fault.status & CFSR_MEMORY) != 0u) {
        fault.cause = STAPES_FAULT_MEMORY;
        fault.address = (fault.status & CFSR_MMFAR_VALID) != 0u ? SCB_MMFAR : 0u;
    } else if ((fault.status & CFSR_BUS) != 0u) {
        fault.cause = STAPES_FAULT_BUS;
        fault.address = (fault.status & CFSR_BFAR_VALID) != 0u ? SCB_BFAR : 0u;
    } else if (fault.status != 0u) {
        fault.cause = STAPES_FAULT_USAGE;
    }
#endif
    if ((SCB_ICSR & ICSR_ACTIVE) == EXCEPTION_NMI) {
        fault.cause = STAPES_FAULT_WATCHDOG; /* nothing else raises it on these boards */
    }
    if (frame >= __stack_limit && frame + FRAME_WORDS <= __stack_top) {
        fault.lr = frame[FRAME_LR];
        fault.pc = frame[FRAME_PC];
        fault.psr = frame[FRAME_PSR];
        uint32_t words = FRAME_WORDS;
        words += (exception_return & RETURN_WITHOUT_FLOATS) != 0u ? 0u : FLOAT_WORDS;
        words += (fault.psr & PSR_ALIGNED) != 0u ? 1u : 0u;
        fault.sp += 4u * words;
    }
    fault_keep(&fault);
    cortex_m_reset();
}

#if __ARM_ARCH_ISA_THUMB >= 2
bool cortex_m_start_cycle_counter(void) {
    SCB_DEMCR |= DEMCR_TRCENA;
    DWT_LAR = LAR_UNLOCK; /* the Cortex-M7 has it locked */
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

void cortex_m_put_last(uint32_t number) {
    NVIC_IPR[number / 4u] |= LOWEST_PRIORITY << number % 4u * 8u; /* Armv6-M takes words only */
}

void cortex_m_enable_interrupt(uint32_t number) {
    NVIC_ISER[number / 32u] = 1u << number % 32u;
}

void cortex_m_disable_interrupt(uint32_t number) {
    NVIC_ICER[number / 32u] = 1u << number % 32u;
    __asm volatile("dsb\n isb" ::: "memory");
}

void cortex_m_sleep(void) {
    __asm volatile("wfe" ::: "memory");
}

void board_reset(void) {
    cortex_m_reset();
}

void cortex_m_reset(void) {
#if defined(CORTEX_M_CACHES)
    cortex_m_clean_caches();
#endif
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}
