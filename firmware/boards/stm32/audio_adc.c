/* An analogue microphone: a timer starts conversions, the first channel of DMA1 takes them away (STM32L4:
 * RM0351, 11.6 and 33.4; STM32F0: RM0091, 10.4 and 18.4). */
#include "adc.h"
#include "board.h"
#include "stapes/error.h"
#include "stm32/microphone.h"

#ifndef STAPES_AUDIO_GAIN
#define STAPES_AUDIO_GAIN STAPES_GAIN_ONE /* modules amplify */
#endif

#define DMA_ISR       REGISTER(stm32_adc_dma + 0x00u)
#define DMA_IFCR      REGISTER(stm32_adc_dma + 0x04u)
#define CHANNEL_CCR   REGISTER(stm32_adc_dma + 0x08u)
#define CHANNEL_CNDTR REGISTER(stm32_adc_dma + 0x0Cu)
#define CHANNEL_CPAR  REGISTER(stm32_adc_dma + 0x10u)
#define CHANNEL_CMAR  REGISTER(stm32_adc_dma + 0x14u)
#define FLAG_FULL     (1u << 1)
#define FLAG_HALF     (1u << 2)
#define FLAG_ERROR    (1u << 3)
#define FLAGS         0xFu
#define CHANNEL_ON    1u
/* Halves of words to ascending addresses, round and round, interrupts at end, half and error, high priority.
 */
#define CHANNEL_SETTING (2u << 12 | 1u << 10 | 1u << 8 | 1u << 7 | 1u << 5 | 7u << 1)

#define TIMER_CR1  REGISTER(stm32_adc_timer + 0x00u)
#define TIMER_CR2  REGISTER(stm32_adc_timer + 0x04u)
#define TIMER_EGR  REGISTER(stm32_adc_timer + 0x14u)
#define TIMER_PSC  REGISTER(stm32_adc_timer + 0x28u)
#define TIMER_ARR  REGISTER(stm32_adc_timer + 0x2Cu)
#define CR1_ENABLE 1u
#define CR2_UPDATE (2u << 4) /* as trigger output */

#define GPIO_MODER(pin) REGISTER(GPIO + 0x400u * ((uint32_t)(pin).port - 'A'))
#define ANALOGUE        3u

static stapes_adc_t adc;

typedef char stapes_conversions_fit[STAPES_ADC_SAMPLES(STM32_AUDIO_HALF, 2u) <= STM32_AUDIO_SAMPLES ? 1 : -1];

static void run(void) {
    DMA_IFCR = FLAGS;
    CHANNEL_CNDTR = 2u * STM32_AUDIO_HALF;
    CHANNEL_CCR = CHANNEL_SETTING | CHANNEL_ON;
    TIMER_EGR = 1u;
    TIMER_CR1 = CR1_ENABLE;
}

static void halt(void) {
    TIMER_CR1 = 0u;
    CHANNEL_CCR = 0u;
    DMA_IFCR = FLAGS;
}

int stm32_microphone_start(uint32_t sample_rate) {
    const uint32_t conversions = stm32_adc_board.conversions;
    const uint32_t clock = board_info()->ticks_per_second; /* the timers run at the core's */
    if (sample_rate == 0u || sample_rate > 48000u) {
        return STAPES_E_ARGUMENT;
    }
    const uint32_t step = sample_rate * conversions;
    const uint32_t period = (clock + step / 2u) / step;
    const uint32_t made = period * step;
    const uint32_t off = made > clock ? made - clock : clock - made;
    if (period < 2u || period > 65536u || off > clock / 1000u) {
        return STAPES_E_ARGUMENT;
    }
    const int error = stapes_adc_init(&adc, conversions, STAPES_AUDIO_GAIN);
    if (error != STAPES_OK) {
        return error;
    }
    const stm32_pin_t pin = stm32_adc_board.pin;
    GPIO_ENABLE |= 1u << (GPIO_ENABLE_BIT + (uint32_t)pin.port - 'A');
    (void)GPIO_ENABLE; /* the clock takes two cycles to arrive */
    GPIO_MODER(pin) |= ANALOGUE << pin.number * 2u;
    if (!stm32_adc_start(&stm32_adc_board)) {
        return STAPES_E_HARDWARE;
    }
    halt();
    CHANNEL_CPAR = stm32_adc_data;
    CHANNEL_CMAR = (uint32_t)(uintptr_t)stm32_audio_buffer;
    TIMER_CR2 = CR2_UPDATE;
    TIMER_PSC = 0u;
    TIMER_ARR = period - 1u;
    run();
    return STAPES_OK;
}

size_t stm32_microphone_convert(const uint16_t *words, int16_t *pcm) {
    return stapes_adc_push(&adc, words, STM32_AUDIO_HALF, pcm);
}

uint32_t stm32_microphone_words(void) {
    return stm32_adc_board.conversions;
}

uint32_t stm32_microphone_gain(void) {
    return STAPES_AUDIO_GAIN;
}

uint32_t stm32_transport_events(void) {
    const uint32_t flags = DMA_ISR;
    return ((flags & FLAG_HALF) != 0u ? STM32_FIRST_HALF : 0u) |
           ((flags & FLAG_FULL) != 0u ? STM32_SECOND_HALF : 0u) |
           ((flags & FLAG_ERROR) != 0u ? STM32_TRANSPORT_ERROR : 0u);
}

void stm32_transport_clear(uint32_t events) {
    DMA_IFCR = ((events & STM32_FIRST_HALF) != 0u ? FLAG_HALF : 0u) |
               ((events & STM32_SECOND_HALF) != 0u ? FLAG_FULL : 0u) |
               ((events & STM32_TRANSPORT_ERROR) != 0u ? FLAG_ERROR : 0u);
}

uint32_t stm32_transport_left(void) {
    return CHANNEL_CNDTR;
}

void stm32_transport_restart(void) {
    halt();
    run();
}

void stm32_transport_stop(void) {
    halt();
    stm32_adc_stop();
}
