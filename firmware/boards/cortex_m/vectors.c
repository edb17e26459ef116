/* The vector table. Every interrupt's handler is weak and is the fault handler unless the board defines it.
 */
#include "cortex_m/cortex_m.h"

#include <stddef.h>

#ifndef CORTEX_M_INTERRUPTS_BY_TEN
#define CORTEX_M_INTERRUPTS_BY_TEN 0
#endif

typedef void (*vector_t)(void);

extern uint32_t __stack_top[];
extern const vector_t stapes_vectors[];

#define DECLARE(number) CORTEX_M_HANDLER(number) __attribute__((weak, alias("stapes_interrupt")));
#define ENTRY(number)   cortex_m_interrupt_##number,
#define TEN(what, tens)                                                                                      \
    what(tens##0) what(tens##1) what(tens##2) what(tens##3) what(tens##4) what(tens##5) what(tens##6)        \
        what(tens##7) what(tens##8) what(tens##9)

#define UP_TO_0(what)
#define UP_TO_1(what)  TEN(what, )
#define UP_TO_2(what)  UP_TO_1(what) TEN(what, 1)
#define UP_TO_3(what)  UP_TO_2(what) TEN(what, 2)
#define UP_TO_4(what)  UP_TO_3(what) TEN(what, 3)
#define UP_TO_5(what)  UP_TO_4(what) TEN(what, 4)
#define UP_TO_6(what)  UP_TO_5(what) TEN(what, 5)
#define UP_TO_7(what)  UP_TO_6(what) TEN(what, 6)
#define UP_TO_8(what)  UP_TO_7(what) TEN(what, 7)
#define UP_TO_9(what)  UP_TO_8(what) TEN(what, 8)
#define UP_TO_10(what) UP_TO_9(what) TEN(what, 9)
#define UP_TO_11(what) UP_TO_10(what) TEN(what, 10)
#define UP_TO_12(what) UP_TO_11(what) TEN(what, 11)
#define UP_TO_13(what) UP_TO_12(what) TEN(what, 12)
#define UP_TO_14(what) UP_TO_13(what) TEN(what, 13)
#define UP_TO_15(what) UP_TO_14(what) TEN(what, 14)

#define JOIN(a, b)     a##b
#define UP_TO(n, what) JOIN(UP_TO_, n)(what)
#define ALL(what)      UP_TO(CORTEX_M_INTERRUPTS_BY_TEN, what)

void stapes_interrupt(void);

/* Interrupts without a handler must not come. */
__attribute__((naked)) void stapes_interrupt(void) {
    __asm volatile("ldr r0, =stapes_fault_handler\n"
                   "bx r0\n"
                   ".ltorg\n");
}

ALL(DECLARE)

__attribute__((section(".vectors"), used))
const vector_t stapes_vectors[] = {(vector_t)(uintptr_t)__stack_top,
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
                                   ALL(ENTRY)};
