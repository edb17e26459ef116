/* Clock of the STM32F0 (RM0091, 6.4) and the STM32F100 (RM0041, 6.3): 4 MHz times N, from half of 8 MHz
   outside or half of the internal 8 MHz. */
#include "stm32/stm32.h"

#define RCC_CR          REGISTER(RCC + 0x00u)
#define RCC_CFGR        REGISTER(RCC + 0x04u)
#define RCC_CFGR2       REGISTER(RCC + 0x2Cu)
#define CR_PLLON        (1u << 24)
#define CR_PLLRDY       (1u << 25)
#define CFGR_PLL_HSE    (1u << 16)
#define CFGR_MULTIPLIER 18
#define CFGR_SWITCH_PLL 2u
#define CFGR_STATUS     (3u << 2)
#define CFGR_STATUS_PLL (2u << 2)
#define CFGR2_HALF      1u

#define HSI_HZ 8000000u

stm32_clock_t stm32_start_clock(void) {
    const stm32_clock_t slow = {HSI_HZ, HSI_HZ};
    const bool outside = stm32_start_outside();
    RCC_CFGR2 = CFGR2_HALF;
    RCC_CFGR = (stm32_board.core_mhz / 4u - 2u) << CFGR_MULTIPLIER | (outside ? CFGR_PLL_HSE : 0u);
    RCC_CR |= CR_PLLON;
    if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        return slow;
    }
#if defined(ACR_VALUE)
    FLASH_ACR = ACR_VALUE;
#endif
    RCC_CFGR |= CFGR_SWITCH_PLL;
    if (!stm32_wait(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL)) {
        RCC_CFGR &= ~CFGR_SWITCH_PLL;
        return slow;
    }
    const uint32_t hz = stm32_board.core_mhz * 1000000u;
    return (stm32_clock_t){hz, hz};
}
