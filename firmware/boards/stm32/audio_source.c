/* Halves of the DMA's buffer to a ring of PCM, with every sample that is lost on the way counted. */
#include "stapes/error.h"
#include "stm32/microphone.h"

#ifndef STAPES_AUDIO_RING
#define STAPES_AUDIO_RING 4096 /* samples: a quarter of a second at 16 kHz; a power of two */
#endif

/* A line of the data cache is 32 bytes; none may hold anything else. */
__attribute__((aligned(32))) uint16_t stm32_audio_buffer[2u * STM32_AUDIO_HALF];
static int16_t samples[STAPES_AUDIO_RING];
static stapes_ring_t ring;

/* Samples that so many words of the buffer would have been. */
static void lose(uint32_t words) {
    stapes_ring_lose(&ring, words / stm32_microphone_words());
}

static void take(uint32_t half) {
    static int16_t pcm[STM32_AUDIO_SAMPLES];
    const uint16_t *words = stm32_audio_buffer + (half == STM32_FIRST_HALF ? 0u : STM32_AUDIO_HALF);
#if defined(CORTEX_M_CACHES)
    cortex_m_invalidate(words, STM32_AUDIO_HALF * sizeof *words);
#endif
    const size_t count = stm32_microphone_convert(words, pcm);
    if ((stm32_transport_events() & (STM32_FIRST_HALF | STM32_SECOND_HALF) & ~half) != 0u) {
        stapes_ring_lose(&ring, count); /* the DMA was back before the end */
    } else {
        (void)stapes_ring_write(&ring, pcm, count);
    }
}

void stm32_audio_interrupt(void) {
    const uint32_t events = stm32_transport_events();
    const uint32_t full = events & (STM32_FIRST_HALF | STM32_SECOND_HALF);
    stm32_transport_clear(events);
    if ((events & STM32_TRANSPORT_ERROR) != 0u) {
        const uint32_t begun = STM32_AUDIO_HALF - stm32_transport_left() % STM32_AUDIO_HALF;
        stm32_transport_restart();
        lose(begun + (full != 0u ? STM32_AUDIO_HALF : 0u));
    } else if (full == (STM32_FIRST_HALF | STM32_SECOND_HALF)) {
        /* So late that the older half is being written again. */
        lose(STM32_AUDIO_HALF);
        take(stm32_transport_left() > STM32_AUDIO_HALF ? STM32_SECOND_HALF : STM32_FIRST_HALF);
    } else if (full != 0u) {
        take(full);
    }
}

static void stop(void *context) {
    (void)context;
    stm32_transport_stop();
}

static int start(void *context, uint32_t sample_rate) {
    stop(context);
    const int error = stapes_ring_init(&ring, samples, STAPES_AUDIO_RING);
    return error != STAPES_OK ? error : stm32_microphone_start(sample_rate);
}

static size_t read(void *context, int16_t *pcm, size_t capacity) {
    (void)context;
    return stapes_ring_read(&ring, pcm, capacity);
}

static uint32_t dropped(void *context) {
    (void)context;
    return stapes_ring_dropped(&ring);
}

static uint32_t gain(void *context) {
    (void)context;
    return stm32_microphone_gain();
}

const stapes_audio_t *board_audio(void) {
    static const stapes_audio_t source = {start, read, dropped, stop, gain, NULL};
    return &source;
}
