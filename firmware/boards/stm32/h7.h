/* STM32H753 (RM0433: 2.3 memory map, 4.9 flash, 6.8 power control, 8.7 RCC, 11.4 GPIO, 61.1 unique id). */
#define RCC             0x58024400u
#define GPIO            0x58020000u
#define GPIO_ENABLE     REGISTER(RCC + 0xE0u)
#define GPIO_ENABLE_BIT 0u
#define TIM2_ENABLE     REGISTER(RCC + 0xE8u)
#define RESET_CAUSE     REGISTER(RCC + 0xD0u)
#define RESET_WATCHDOG  (1u << 26)
#define RESET_CLEAR     (1u << 16)
#define WATCHDOG        0x58004800u
#define UNIQUE_ID       0x1FF1E800u
#define FLASH_ACR       REGISTER(0x52002000u)
#define UART_ISR_LAYOUT 1
