/* Clock of the STM32F4 (RM0090, 7.3; RM0390, 5.1.4 and 6.3) and the STM32F7 (RM0410, 4.1.4 and 5.3): 2 MHz
   times the core's MHz, halved. APB1, with the UART, runs at a quarter of the core's clock. */
#include "stm32/stm32.h"

#define RCC_CR          REGISTER(RCC + 0x00u)
#define RCC_PLLCFGR     REGISTER(RCC + 0x04u)
#define RCC_CFGR        REGISTER(RCC + 0x08u)
#define RCC_APB1ENR     REGISTER(RCC + 0x40u)
#define CR_PLLON        (1u << 24)
#define CR_PLLRDY       (1u << 25)
#define PLLCFGR_HSE     (1u << 22)
#define PLLCFGR_R       (2u << 28)
#define CFGR_SWITCH_PLL 2u
#define CFGR_STATUS     (3u << 2)
#define CFGR_STATUS_PLL (2u << 2)
#define CFGR_APB1_DIV4  (5u << 10)
#define CFGR_APB2_DIV2  (4u << 13)
#define APB1_POWER      (1u << 28)

#define PWR_CR          REGISTER(0x40007000u)
#define PWR_CSR         REGISTER(0x40007004u)
#define OVERDRIVE       (1u << 16) /* both to ask and to see */
#define OVERDRIVE_TAKEN (1u << 17)

#define HSI_HZ             16000000u
#define PLAIN_MHZ          168u /* more needs over-drive */
#define MHZ_PER_WAIT_STATE 30u  /* at 2.7 V and more */

/* RM0390, 5.1.4; RM0410, 4.1.4: while the PLL runs and is not used yet. */
static bool start_overdrive(void) {
    RCC_APB1ENR |= APB1_POWER;
    (void)RCC_APB1ENR;
    PWR_CR |= OVERDRIVE;
    if (!stm32_wait(&PWR_CSR, OVERDRIVE, OVERDRIVE)) {
        return false;
    }
    PWR_CR |= OVERDRIVE_TAKEN;
    return stm32_wait(&PWR_CSR, OVERDRIVE_TAKEN, OVERDRIVE_TAKEN);
}

stm32_clock_t stm32_start_clock(void) {
    const stm32_clock_t slow = {HSI_HZ, HSI_HZ};
    const uint32_t mhz = stm32_board.core_mhz;
    const bool outside = stm32_start_outside();
    const uint32_t usb = (2u * mhz + 47u) / 48u; /* at most 48 MHz */
    RCC_PLLCFGR = PLLCFGR_R | usb << 24 | mhz << 6 | (outside ? PLLCFGR_HSE | 4u : 8u);
    RCC_CR |= CR_PLLON;
    if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        return slow;
    }
    if (mhz > PLAIN_MHZ && !start_overdrive()) {
        return slow;
    }
    FLASH_ACR = ACR_ACCELERATE | (mhz - 1u) / MHZ_PER_WAIT_STATE;
    RCC_CFGR = CFGR_APB1_DIV4 | CFGR_APB2_DIV2 | CFGR_SWITCH_PLL;
    if (!stm32_wait(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL)) {
        RCC_CFGR = 0u;
        return slow;
    }
    return (stm32_clock_t){mhz * 1000000u, mhz * 250000u};
}
