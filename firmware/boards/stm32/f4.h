/* STM32F405/407 (RM0090: 2.3 memory map, 3.9 flash, 7.3 RCC, 8.4 GPIO, 39.1 unique id) and STM32F446 (RM0390:
   the same, 5.4 power control). */
#define RCC             0x40023800u
#define GPIO            0x40020000u
#define GPIO_ENABLE     REGISTER(RCC + 0x30u)
#define GPIO_ENABLE_BIT 0u
#define TIM2_ENABLE     REGISTER(RCC + 0x40u)
#define RESET_CAUSE     REGISTER(RCC + 0x74u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 24)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x1FFF7A10u
#define FLASH_ACR       REGISTER(0x40023C00u)
#define ACR_ACCELERATE  0x700u /* data cache, instruction cache, prefetch */
#define UART_ISR_LAYOUT 0
