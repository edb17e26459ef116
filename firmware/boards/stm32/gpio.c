/* Pins of all families but the F1 (registers as in RM0090, 8.4). */
#include "stm32/stm32.h"

#define PORT(pin)      (GPIO + 0x400u * ((uint32_t)(pin).port - 'A'))
#define MODER(pin)     REGISTER(PORT(pin) + 0x00u)
#define OSPEEDR(pin)   REGISTER(PORT(pin) + 0x08u)
#define PUPDR(pin)     REGISTER(PORT(pin) + 0x0Cu)
#define BSRR(pin)      REGISTER(PORT(pin) + 0x18u)
#define AFR(pin)       REGISTER(PORT(pin) + 0x20u + (pin).number / 8u * 4u)
#define MODE_OUTPUT    1u
#define MODE_ALTERNATE 2u
#define SPEED_MEDIUM   1u
#define PULL_UP        1u

static void put(volatile uint32_t *address, uint32_t index, uint32_t bits, uint32_t value) {
    const uint32_t mask = ((1u << bits) - 1u) << index * bits;
    *address = (*address & ~mask) | value << index * bits;
}

static void start_port(stm32_pin_t pin) {
    GPIO_ENABLE |= 1u << (GPIO_ENABLE_BIT + (uint32_t)pin.port - 'A');
    (void)GPIO_ENABLE; /* the clock takes two cycles to arrive */
}

void stm32_pin_uart(stm32_pin_t pin, bool output) {
    (void)output;
    start_port(pin);
    put(&AFR(pin), pin.number % 8u, 4u, pin.function);
    put(&PUPDR(pin), pin.number, 2u, PULL_UP); /* silent when nothing is connected */
    put(&OSPEEDR(pin), pin.number, 2u, SPEED_MEDIUM);
    put(&MODER(pin), pin.number, 2u, MODE_ALTERNATE);
}

void stm32_pin_output(stm32_pin_t pin) {
    start_port(pin);
    put(&MODER(pin), pin.number, 2u, MODE_OUTPUT);
}

void stm32_pin_set(stm32_pin_t pin, bool high) {
    BSRR(pin) = 1u << (pin.number + (high ? 0u : 16u));
}
