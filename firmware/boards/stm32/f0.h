/* STM32F072 (RM0091: 2.2.2 memory map, 6.4 RCC, 8.4 GPIO, 9.1.1 SYSCFG, 33.1 unique id). */
#define RCC             0x40021000u
#define GPIO            0x48000000u
#define GPIO_ENABLE     REGISTER(RCC + 0x14u)
#define GPIO_ENABLE_BIT 17u /* of port A */
#define TIM2_ENABLE     REGISTER(RCC + 0x1Cu)
#define RESET_CAUSE     REGISTER(RCC + 0x24u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 24)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x1FFFF7ACu
#define FLASH_ACR       REGISTER(0x40022000u)
#define ACR_VALUE       0x11u /* one wait state, prefetch */
#define UART_ISR_LAYOUT 1
#define SYSCFG_ENABLE   REGISTER(RCC + 0x18u)
#define SYSCFG_CFGR1    REGISTER(0x40010000u)
#define CFGR1_MEMORY    3u /* what is at address 0, where the vectors are read: 0 is the flash */
