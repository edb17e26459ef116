/* In place of the real one: registers are words of a table, and some of them react; see ../fake_registers.c.
 */
#ifndef STAPES_CORTEX_M_H
#define STAPES_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address)        (*fake_register(address))
#define CORTEX_M_HANDLER(number) void cortex_m_interrupt_##number(void)

volatile uint32_t *fake_register(uint32_t address);
void cortex_m_enable_interrupt(uint32_t number);
void cortex_m_put_last(uint32_t number);
void cortex_m_invalidate(const volatile void *address, uint32_t bytes);

#endif
