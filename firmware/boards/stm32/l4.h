/* STM32L476 (RM0351: 2.2.2 memory map, 3.7 flash, 6.4 RCC, 8.5 GPIO, 49.1 unique id). */
#define RCC             0x40021000u
#define GPIO            0x48000000u
#define GPIO_ENABLE     REGISTER(RCC + 0x4Cu)
#define GPIO_ENABLE_BIT 0u
#define TIM2_ENABLE     REGISTER(RCC + 0x58u)
#define RESET_CAUSE     REGISTER(RCC + 0x94u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 23)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x1FFF7590u
#define FLASH_ACR       REGISTER(0x40022000u)
#define ACR_VALUE       0x704u /* four wait states, data cache, instruction cache, prefetch */
#define UART_ISR_LAYOUT 1
