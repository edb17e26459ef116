/* Clock of the STM32L4 (RM0351, 6.4) and the STM32L5 (RM0438: 7.6 instruction cache, 8.2.3 voltage
   ranges, 9.8 RCC): 4 MHz times half of the core's MHz, halved. The voltage range after a reset allows 80
   MHz. */
#include "stm32/stm32.h"

#define RCC_CR          REGISTER(RCC + 0x00u)
#define RCC_CFGR        REGISTER(RCC + 0x08u)
#define RCC_PLLCFGR     REGISTER(RCC + 0x0Cu)
#define RCC_APB1ENR1    REGISTER(RCC + 0x58u)
#define CR_HSION        (1u << 8)
#define CR_HSIRDY       (1u << 10)
#define CR_PLLON        (1u << 24)
#define CR_PLLRDY       (1u << 25)
#define PLLCFGR_HSI     2u
#define PLLCFGR_HSE     3u
#define PLLCFGR_R_ON    (1u << 24)
#define CFGR_SWITCH_PLL 3u
#define CFGR_STATUS     (3u << 2)
#define CFGR_STATUS_PLL (3u << 2)
#define CFGR_AHB_HALF   (8u << 4)
#define APB1_POWER      (1u << 28)

#define PWR_CR1   REGISTER(0x40007000u)
#define PWR_CR2   REGISTER(0x40007004u)
#define PWR_SR2   REGISTER(0x40007014u)
#define CR1_RANGE (3u << 9)
#define CR2_IOSV  (1u << 9)  /* port G's own supply is there */
#define SR2_RANGE (1u << 10) /* still changing */

#define ICACHE_CR REGISTER(0x40030400u)
#define ICACHE_ON 1u

#define MSI_HZ 4000000u

/* The core's voltage for full speed, the supply of port G, the cache before the flash. */
static bool start_power(void) {
#if defined(STM32_L5)
    RCC_APB1ENR1 |= APB1_POWER;
    (void)RCC_APB1ENR1;
    ICACHE_CR = ICACHE_ON;
    PWR_CR2 |= CR2_IOSV;
    PWR_CR1 &= ~CR1_RANGE; /* range 0 */
    return stm32_wait(&PWR_SR2, SR2_RANGE, 0u);
#else
    return true;
#endif
}

stm32_clock_t stm32_start_clock(void) {
    const stm32_clock_t slow = {MSI_HZ, MSI_HZ};
    if (!start_power()) {
        return slow;
    }
    const bool outside = stm32_start_outside();
    RCC_CR |= CR_HSION;
    if (!outside && !stm32_wait(&RCC_CR, CR_HSIRDY, CR_HSIRDY)) {
        return slow;
    }
    /* 8 or 16 MHz to 4 MHz */
    RCC_PLLCFGR = PLLCFGR_R_ON | stm32_board.core_mhz / 2u << 8 |
                  (outside ? 1u << 4 | PLLCFGR_HSE : 3u << 4 | PLLCFGR_HSI);
    RCC_CR |= CR_PLLON;
    if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        return slow;
    }
    FLASH_ACR = ACR_VALUE;
    (void)stm32_wait(&FLASH_ACR, 7u, ACR_VALUE & 7u);
    RCC_CFGR = CFGR_AHB_HALF | CFGR_SWITCH_PLL; /* in two steps: the core's current must not jump */
    if (!stm32_wait(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL)) {
        RCC_CFGR = 0u;
        return slow;
    }
    for (volatile uint32_t i = 0; i < 100u; i++) { /* a microsecond and more */
    }
    RCC_CFGR = CFGR_SWITCH_PLL;
    const uint32_t hz = stm32_board.core_mhz * 1000000u;
    return (stm32_clock_t){hz, hz};
}
