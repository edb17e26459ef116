/* Clock of the STM32H743/753 (RM0433: 6.4.1 supply, 6.6.2 voltage scaling, 8.7 RCC, 4.3.8 flash wait
   states, 60.5.8 revision): 480 MHz, on silicon before revision V 400 MHz. Core supply: the LDO, which is
   what the board is wired for. */
#include "stm32/stm32.h"

#define RCC_CR          REGISTER(RCC + 0x00u)
#define RCC_CFGR        REGISTER(RCC + 0x10u)
#define RCC_D1CFGR      REGISTER(RCC + 0x18u)
#define RCC_D2CFGR      REGISTER(RCC + 0x1Cu)
#define RCC_D3CFGR      REGISTER(RCC + 0x20u)
#define RCC_PLLCKSELR   REGISTER(RCC + 0x28u)
#define RCC_PLLCFGR     REGISTER(RCC + 0x2Cu)
#define RCC_PLL1DIVR    REGISTER(RCC + 0x30u)
#define RCC_APB4ENR     REGISTER(RCC + 0xF4u)
#define CR_PLLON        (1u << 24)
#define CR_PLLRDY       (1u << 25)
#define APB4_SYSCFG     (1u << 1)
#define CFGR_SWITCH     7u
#define CFGR_SWITCH_PLL 3u
#define CFGR_STATUS     (7u << 3)
#define CFGR_STATUS_PLL (3u << 3)
#define PPRE_HALF       4u
#define PLLCKSELR_HSE   2u
#define PLLCFGR_4_8_MHZ (2u << 2)
#define PLLCFGR_P_ON    (1u << 16)

#define PWR_CSR1     REGISTER(0x58024804u)
#define PWR_CR3      REGISTER(0x5802480Cu)
#define PWR_D3CR     REGISTER(0x58024818u)
#define CSR1_READY   (1u << 13)
#define CR3_LDO      (1u << 1)
#define D3CR_READY   (1u << 13)
#define D3CR_SCALE_1 (3u << 14)

#define SYSCFG_PWRCR    REGISTER(0x5800042Cu)
#define PWRCR_OVERDRIVE 1u

#define DBGMCU_IDCODE REGISTER(0x5C001000u)
#define REVISION_V    0x2003u

#define HSI_HZ    64000000u
#define FAST_MHZ  480u
#define SAFE_MHZ  400u
#define INPUT_MHZ 4u
#define ACR_FAST  0x24u /* four wait states at 240 MHz and scale 0 */
#define ACR_SAFE  0x22u /* two wait states at 200 MHz and scale 1 */

static bool scale_voltage(bool fast) {
    PWR_CR3 = CR3_LDO;
    if (!stm32_wait(&PWR_CSR1, CSR1_READY, CSR1_READY)) {
        return false;
    }
    PWR_D3CR = D3CR_SCALE_1;
    if (!stm32_wait(&PWR_D3CR, D3CR_READY, D3CR_READY)) {
        return false;
    }
    if (fast) {
        RCC_APB4ENR |= APB4_SYSCFG;
        (void)RCC_APB4ENR;
        SYSCFG_PWRCR |= PWRCR_OVERDRIVE;
        return stm32_wait(&PWR_D3CR, D3CR_READY, D3CR_READY);
    }
    return true;
}

stm32_clock_t stm32_start_clock(void) {
    const stm32_clock_t slow = {HSI_HZ, HSI_HZ};
    const bool fast = DBGMCU_IDCODE >> 16 >= REVISION_V;
    const uint32_t mhz = fast ? FAST_MHZ : SAFE_MHZ;
    if (!scale_voltage(fast)) {
        return slow;
    }
    const bool outside = stm32_start_outside();
    RCC_PLLCKSELR = outside ? 2u << 4 | PLLCKSELR_HSE : 16u << 4; /* 8 or 64 MHz to 4 MHz */
    RCC_PLL1DIVR = 1u << 24 | 1u << 16 | 1u << 9 | (2u * mhz / INPUT_MHZ - 1u);
    RCC_CR |= CR_PLLON;
    if (!stm32_wait(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        return slow;
    }
    /* Core at full speed, buses at half of it, peripherals at half of that. */
    RCC_D1CFGR = PPRE_HALF << 4 | 8u;
    RCC_D2CFGR = PPRE_HALF << 8 | PPRE_HALF << 4;
    RCC_D3CFGR = PPRE_HALF << 4;
    FLASH_ACR = fast ? ACR_FAST : ACR_SAFE;
    (void)stm32_wait(&FLASH_ACR, 0xFFu, fast ? ACR_FAST : ACR_SAFE);
    RCC_CFGR = (RCC_CFGR & ~CFGR_SWITCH) | CFGR_SWITCH_PLL;
    if (!stm32_wait(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL)) {
        RCC_CFGR &= ~CFGR_SWITCH;
        RCC_D1CFGR = 0u;
        RCC_D2CFGR = 0u;
        RCC_D3CFGR = 0u;
        return slow;
    }
    return (stm32_clock_t){mhz * 1000000u, mhz * 250000u};
}
