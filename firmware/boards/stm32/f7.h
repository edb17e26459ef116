/* STM32F767 (RM0410: 2.2 memory map, 3.7 flash, 4.4 power control, 5.3 RCC, 6.4 GPIO, 45.1 unique id). */
#define RCC             0x40023800u
#define GPIO            0x40020000u
#define GPIO_ENABLE     REGISTER(RCC + 0x30u)
#define GPIO_ENABLE_BIT 0u
#define TIM2_ENABLE     REGISTER(RCC + 0x40u)
#define RESET_CAUSE     REGISTER(RCC + 0x74u)
#define RESET_WATCHDOG  (1u << 29)
#define RESET_CLEAR     (1u << 24)
#define WATCHDOG        0x40003000u
#define UNIQUE_ID       0x1FF0F420u
#define FLASH_ACR       REGISTER(0x40023C00u)
#define ACR_ACCELERATE  0x300u /* accelerator, prefetch */
#define UART_ISR_LAYOUT 1
