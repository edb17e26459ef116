/* Pins of the STM32F1 (RM0041, 7.2). */
#include "stm32/stm32.h"

#define PORT(pin)        (GPIO + 0x400u * ((uint32_t)(pin).port - 'A'))
#define CR(pin)          REGISTER(PORT(pin) + (pin).number / 8u * 4u)
#define BSRR(pin)        REGISTER(PORT(pin) + 0x10u)
#define OUTPUT           0x2u
#define OUTPUT_ALTERNATE 0xBu
#define INPUT_PULLED     0x8u /* up where the output register says 1 */

static void start(stm32_pin_t pin, uint32_t mode) {
    GPIO_ENABLE |= 1u << (GPIO_ENABLE_BIT + (uint32_t)pin.port - 'A');
    (void)GPIO_ENABLE; /* the clock takes two cycles to arrive */
    const uint32_t shift = pin.number % 8u * 4u;
    CR(pin) = (CR(pin) & ~(0xFu << shift)) | mode << shift;
}

void stm32_pin_uart(stm32_pin_t pin, bool output) {
    start(pin, output ? OUTPUT_ALTERNATE : INPUT_PULLED);
    stm32_pin_set(pin, true); /* silent when nothing is connected */
}

void stm32_pin_output(stm32_pin_t pin) {
    start(pin, OUTPUT);
}

void stm32_pin_set(stm32_pin_t pin, bool high) {
    BSRR(pin) = 1u << (pin.number + (high ? 0u : 16u));
}
