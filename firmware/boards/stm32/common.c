#include "stm32/stm32.h"

#define RCC_CR    REGISTER(RCC)
#define CR_HSEON  (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)

#define READY_SPINS 100000u /* more than the 2 ms that a crystal may take at 16 MHz */

bool stm32_wait(const volatile uint32_t *address, uint32_t mask, uint32_t value) {
    for (uint32_t spin = 0; spin < READY_SPINS; spin++) {
        if ((*address & mask) == value) {
            return true;
        }
    }
    return false;
}

bool stm32_start_outside(void) {
    if (stm32_board.outside == STM32_NOTHING_OUTSIDE) {
        return false;
    }
    if (stm32_board.outside == STM32_CLOCK_INPUT) {
        RCC_CR |= CR_HSEBYP;
    }
    RCC_CR |= CR_HSEON;
    return stm32_wait(&RCC_CR, CR_HSERDY, CR_HSERDY);
}
