/* STM32L552 with TrustZone off, as delivered (RM0438: 2.3 memory map, 6.9 flash, 8.6 power control, 9.8
   RCC, 11.6 GPIO, 7.6 instruction cache, 55.1 unique id). */
#define RCC             0x40021000u
#define GPIO            0x42020000u
#define GPIO_ENABLE     REGISTER(RCC + 0x4Cu)
#define GPIO_ENABLE_BIT 0u
#define TIM2_ENABLE     REGISTER(RCC + 0x58u)
#define RESET_CAUSE     REGISTER(RCC + 0x94u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 23)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x0BFA0590u
#define FLASH_ACR       REGISTER(0x40022000u)
#define ACR_VALUE       0x5u /* five wait states */
#define UART_ISR_LAYOUT 1
#define STM32_L5        1
