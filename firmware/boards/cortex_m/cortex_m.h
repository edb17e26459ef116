/* What every Cortex-M board shares: start-up, stack paint, faults, counters. Registers: Armv7-M Architecture
   Reference Manual (DDI 0403), B3.2 system control block, B3.3 SysTick, C1.8 data watchpoint and trace. */
#ifndef STAPES_CORTEX_M_H
#define STAPES_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Bytes of the stack that were written since start. */
uint32_t cortex_m_stack_high_water(void);

/* Starts the DWT cycle counter; false where there is none or it stands still (emulators). Not on Armv6-M. */
bool cortex_m_start_cycle_counter(void);
uint32_t cortex_m_cycles(void);

/* SysTick from the core's clock, made 32 bits wide; ask at least once in 2^24 ticks. */
void cortex_m_start_systick(void);
uint32_t cortex_m_systick(void);

/* System reset request; does not return. */
void cortex_m_reset(void);

#endif
