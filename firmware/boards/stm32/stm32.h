/* What STM32 boards share. A board folder gives `stm32_board` and its UART's interrupt handler; board.cmake
   names the family, whose header (f4.h, …) has the few addresses that differ. */
#ifndef STAPES_STM32_H
#define STAPES_STM32_H

#include <stdbool.h>
#include <stdint.h>

#include "cortex_m/cortex_m.h"
#include STM32_FAMILY

typedef struct {
    uint8_t port; /* 'A', 'B', … */
    uint8_t number;
    uint8_t function; /* alternate function of a UART's pin */
} stm32_pin_t;

/* Where 8 MHz come from. */
typedef enum {
    STM32_CRYSTAL,
    STM32_CLOCK_INPUT /* e.g. the ST-LINK */,
    STM32_NOTHING_OUTSIDE
} stm32_outside_t;

typedef struct {
    uint32_t core_mhz;
    stm32_outside_t outside;

    uint32_t uart;        /* its registers */
    uint32_t uart_enable; /* the RCC register that has its clock's bit */
    uint32_t uart_enable_bit;
    uint32_t uart_interrupt;
    bool uart_low_power; /* an LPUART */
    stm32_pin_t tx, rx;

    stm32_pin_t led; /* lit when high */
} stm32_board_t;

extern const stm32_board_t stm32_board;

/* Hz. `uart` is the clock of the UART that the board uses. */
typedef struct {
    uint32_t core, uart;
} stm32_clock_t;

/* Full speed from 8 MHz outside; without those from the internal oscillator; without the PLL what a reset
 * left. Every wait is bounded. */
stm32_clock_t stm32_start_clock(void);

/* Starts what is outside; false where there is nothing, or it does not start. For the families whose RCC_CR
 * has HSEON, HSERDY and HSEBYP in bits 16 to 18: all of these. */
bool stm32_start_outside(void);

/* Waits until (*address & mask) == value, with a bound; whether it came. */
bool stm32_wait(const volatile uint32_t *address, uint32_t mask, uint32_t value);

/* The clock of a port, then what its pin does. */
void stm32_pin_uart(stm32_pin_t pin, bool output);
void stm32_pin_output(stm32_pin_t pin);
void stm32_pin_set(stm32_pin_t pin, bool high);

void stm32_start_uart(uint32_t clock_hz);
/* The body of the UART's interrupt handler. */
void stm32_uart_interrupt(void);
/* Fastest speed whose divider is exact enough. */
uint32_t stm32_uart_max_baud(uint32_t clock_hz);

#endif
