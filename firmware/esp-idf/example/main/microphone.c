/* An I2S microphone (INMP441 and its like) as the board's source: ESP-IDF fills DMA buffers, a task turns
 * each into samples and puts them into the ring that the application reads. */
#include "audio.h"
#include "driver/i2s_std.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"
#include "i2s.h"
#include "sdkconfig.h"
#include "stapes/error.h"

#define SLOTS        2u /* left and right: the same words in memory on every chip */
#define FRAME_BYTES  (SLOTS * sizeof(uint32_t))
#define FRAMES       240u /* in a DMA buffer */
#define BUFFERS      6u
#define RING_SAMPLES 4096u
#define STACK_BYTES  3072
#define PRIORITY     5 /* above the application's */
#define LOWEST_RATE  8000u
#define HIGHEST_RATE 48000u

#ifdef CONFIG_STAPES_I2S_RIGHT
#define SLOT 1u
#else
#define SLOT 0u
#endif

static i2s_chan_handle_t channel;
static stapes_i2s_t converter;
static stapes_ring_t ring;
static int16_t samples[RING_SAMPLES];
static volatile uint32_t overwritten; /* bytes that the driver lost because the task came too late */
static SemaphoreHandle_t lock;        /* of what follows */
static uint32_t starts;

static bool on_overflow(i2s_chan_handle_t handle, i2s_event_data_t *event, void *context) {
    (void)handle;
    (void)context;
    overwritten += (uint32_t)event->size;
    return false;
}

static void collect(void *context) {
    static uint32_t words[FRAMES * SLOTS];
    static int16_t pcm[FRAMES];
    uint32_t counted = 0;
    (void)context;
    for (;;) {
        uint32_t start = starts;
        size_t bytes = 0;
        if (i2s_channel_read(channel, words, sizeof words, &bytes, portMAX_DELAY) != ESP_OK) {
            vTaskDelay(1); /* stopped */
            continue;
        }
        uint32_t lost = overwritten - counted;
        counted += lost;
        (void)xSemaphoreTake(lock, portMAX_DELAY);
        if (start == starts) {
            size_t frames = bytes / FRAME_BYTES;
            if (lost != 0u) {
                stapes_ring_lose(&ring, lost / FRAME_BYTES);
            }
            stapes_i2s_push(&converter, words, frames, pcm);
            (void)stapes_ring_write(&ring, pcm, frames);
        }
        (void)xSemaphoreGive(lock);
    }
}

static int prepare(uint32_t sample_rate) {
    i2s_chan_config_t channel_config = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    channel_config.dma_desc_num = BUFFERS;
    channel_config.dma_frame_num = FRAMES;
    const i2s_std_config_t config = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(sample_rate),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_STEREO),
        .gpio_cfg =
            {
                .mclk = I2S_GPIO_UNUSED,
                .bclk = (gpio_num_t)CONFIG_STAPES_I2S_BCLK,
                .ws = (gpio_num_t)CONFIG_STAPES_I2S_WS,
                .dout = I2S_GPIO_UNUSED,
                .din = (gpio_num_t)CONFIG_STAPES_I2S_DIN,
            },
    };
    const i2s_event_callbacks_t callbacks = {.on_recv_q_ovf = on_overflow};
    int error = stapes_i2s_init(&converter, SLOTS, SLOT, 0u, CONFIG_STAPES_I2S_GAIN);
    if (error == STAPES_OK) {
        error = stapes_ring_init(&ring, samples, RING_SAMPLES);
    }
    if (error != STAPES_OK) {
        return error;
    }
    lock = xSemaphoreCreateMutex();
    if (lock == NULL || i2s_new_channel(&channel_config, NULL, &channel) != ESP_OK ||
        i2s_channel_init_std_mode(channel, &config) != ESP_OK ||
        i2s_channel_register_event_callback(channel, &callbacks, NULL) != ESP_OK ||
        xTaskCreatePinnedToCore(collect, "microphone", STACK_BYTES, NULL, PRIORITY, NULL, 0) != pdPASS) {
        return STAPES_E_HARDWARE;
    }
    return STAPES_OK;
}

static void stop(void *context) {
    (void)context;
    if (lock != NULL) {
        (void)i2s_channel_disable(channel);
    }
}

static int start(void *context, uint32_t sample_rate) {
    if (sample_rate < LOWEST_RATE || sample_rate > HIGHEST_RATE) {
        return STAPES_E_ARGUMENT;
    }
    if (lock == NULL) {
        int error = prepare(sample_rate);
        if (error != STAPES_OK) {
            return error;
        }
    } else {
        const i2s_std_clk_config_t clock = I2S_STD_CLK_DEFAULT_CONFIG(sample_rate);
        stop(context);
        if (i2s_channel_reconfig_std_clock(channel, &clock) != ESP_OK) {
            return STAPES_E_HARDWARE;
        }
    }
    (void)xSemaphoreTake(lock, portMAX_DELAY);
    starts++;
    stapes_ring_reset(&ring);
    stapes_i2s_reset(&converter);
    (void)xSemaphoreGive(lock);
    return i2s_channel_enable(channel) == ESP_OK ? STAPES_OK : STAPES_E_HARDWARE;
}

static size_t take(void *context, int16_t *pcm, size_t capacity) {
    (void)context;
    return stapes_ring_read(&ring, pcm, capacity);
}

static uint32_t dropped(void *context) {
    (void)context;
    return stapes_ring_dropped(&ring);
}

static uint32_t gain(void *context) {
    (void)context;
    return CONFIG_STAPES_I2S_GAIN;
}

const stapes_audio_t *board_audio(void) {
    static const stapes_audio_t source = {start, take, dropped, stop, gain, NULL};
    return &source;
}
