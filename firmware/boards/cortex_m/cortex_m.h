/* What every Cortex-M board shares: start-up, vectors, faults, counters. Registers: Armv7-M Architecture
   Reference Manual (DDI 0403), B3.2 system control block, B3.3 SysTick, B3.4 interrupt controller, C1.8 data
   watchpoint and trace.

   A board that uses interrupts sets CORTEX_M_INTERRUPTS_BY_TEN in board.cmake (4: numbers 0 to 39) and
   defines CORTEX_M_HANDLER(38) for those it enables; the others end as faults whose psr says the number. */
#ifndef STAPES_CORTEX_M_H
#define STAPES_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address)  (*(volatile uint32_t *)(uintptr_t)(address))
#define REGISTERS(address) ((volatile uint32_t *)(uintptr_t)(address))

#define CORTEX_M_HANDLER(number) void cortex_m_interrupt_##number(void)

void stapes_reset_handler(void);
void stapes_fault_handler(void);
void cortex_m_fault(const uint32_t *frame, uint32_t exception_return);

/* Starts the DWT cycle counter; false where there is none or it stands still (emulators). Not on Armv6-M. */
bool cortex_m_start_cycle_counter(void);
uint32_t cortex_m_cycles(void);

/* SysTick from the core's clock, made 32 bits wide; ask at least once in 2^24 ticks. */
void cortex_m_start_systick(void);
uint32_t cortex_m_systick(void);

/* In the interrupt controller; the peripheral has its own switch. */
void cortex_m_enable_interrupt(uint32_t number);
/* Every other interrupt may interrupt this one's handler. */
void cortex_m_put_last(uint32_t number);
void cortex_m_disable_interrupt(uint32_t number);

/* Until the next interrupt. One that came since the last call counts, so none is slept through. */
void cortex_m_sleep(void);

/* System reset request; does not return. */
__attribute__((noreturn)) void cortex_m_reset(void);

/* Instruction and data cache of the Cortex-M7 (cache.c; board.cmake defines CORTEX_M_CACHES). */
void cortex_m_enable_caches(void);
/* Writes back what the data cache alone holds: a reset would lose it. */
void cortex_m_clean_caches(void);
/* Before reading what a DMA wrote to memory that is cached. Whole lines: align the buffer to 32 bytes. */
void cortex_m_invalidate(const volatile void *address, uint32_t bytes);

#endif
