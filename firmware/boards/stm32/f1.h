/* STM32F100 (RM0041: 2.3 memory map, 6.3 RCC, 7.2 GPIO, 25.2 unique id). */
#define RCC             0x40021000u
#define GPIO            0x40010800u
#define GPIO_ENABLE     REGISTER(RCC + 0x18u)
#define GPIO_ENABLE_BIT 2u /* of port A */
#define TIM2_ENABLE     REGISTER(RCC + 0x1Cu)
#define RESET_CAUSE     REGISTER(RCC + 0x24u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 24)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x1FFFF7E8u
#define UART_ISR_LAYOUT 0
