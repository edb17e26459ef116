/* How the microphones of STM32 boards become a source (../audio/audio.h): a transport (I2S or ADC) lets the
 * DMA fill two halves of a buffer in turn; each half that is full is converted in the interrupt and put into
 * a ring. audio.cmake chooses the files: the transport, the microphone's conversion, the board's pins. */
#ifndef STAPES_STM32_MICROPHONE_H
#define STAPES_STM32_MICROPHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audio.h"
#include "stm32/stm32.h"

#define STM32_AUDIO_HALF    128u /* 16-bit words: two milliseconds at 16 kHz */
#define STM32_AUDIO_SAMPLES 65u  /* PCM that a half becomes, at most */

/* Where the DMA writes. */
extern uint16_t stm32_audio_buffer[2u * STM32_AUDIO_HALF];

/* The microphone: sets up its conversion and starts the transport. */
int stm32_microphone_start(uint32_t sample_rate);
/* Converts STM32_AUDIO_HALF words; returns how many samples were written. */
size_t stm32_microphone_convert(const uint16_t *words, int16_t *pcm);
/* Words of a sample. */
uint32_t stm32_microphone_words(void);
/* Its gain, in STAPES_GAIN_ONE. */
uint32_t stm32_microphone_gain(void);

/* The transport. */
enum { STM32_FIRST_HALF = 1u, STM32_SECOND_HALF = 2u, STM32_TRANSPORT_ERROR = 4u };
/* What has happened and was not cleared. */
uint32_t stm32_transport_events(void);
void stm32_transport_clear(uint32_t events);
/* Words that the DMA has yet to write before it starts from the front. */
uint32_t stm32_transport_left(void);
/* After an error: from the front again. */
void stm32_transport_restart(void);
void stm32_transport_stop(void);

/* The body of the DMA's interrupt handler. */
void stm32_audio_interrupt(void);

/* audio_i2s.c: the clock of an I2S bus. */
typedef struct {
    uint32_t multiplier; /* of 2 MHz in PLLI2S */
    uint32_t divider;    /* behind it */
    uint32_t prescaler;  /* in the SPI */
    uint32_t error;      /* of the bit clock, in 10^-9 */
} stm32_i2s_clock_t;

/* The settings that come nearest to `bit_hz`. */
stm32_i2s_clock_t stm32_i2s_clock(uint32_t bit_hz);

/* STM32_I2S_SLOTS: two slots of 24 bits in 32; STM32_I2S_BITS: 16-bit words one after the other. */
typedef enum { STM32_I2S_SLOTS, STM32_I2S_BITS } stm32_i2s_format_t;
int stm32_i2s_start(uint32_t bit_hz, stm32_i2s_format_t format);

/* The board's wiring of I2S2. */
typedef struct {
    stm32_pin_t clock, select, data; /* select.port 0: not used */
    uint32_t slot;                   /* the microphone's; see ../audio/i2s.h */
    bool own_divider;                /* PLLI2S has an input divider of its own (STM32F446) */
} stm32_i2s_board_t;
extern const stm32_i2s_board_t stm32_i2s_board;

/* audio_adc.c: the families differ in the converter; its trigger is a timer, its DMA the first channel. */
typedef struct {
    stm32_pin_t pin;
    uint32_t channel;
    uint32_t conversions; /* for a PCM sample; see ../audio/adc.h */
} stm32_adc_board_t;
extern const stm32_adc_board_t stm32_adc_board;

/* Clocks, calibration, trigger; the converter then writes at each event of its timer. */
bool stm32_adc_start(const stm32_adc_board_t *board);
void stm32_adc_stop(void);
/* Its timer and data registers, its DMA controller's. */
extern const uint32_t stm32_adc_timer, stm32_adc_data, stm32_adc_dma;

#endif
