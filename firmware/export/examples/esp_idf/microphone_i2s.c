/* An I2S microphone, INMP441 or its like: SCK, WS and SD at these pins, L/R at GND. */
#include "driver/i2s_std.h"
#include "microphone.h"
#include "stapes/error.h"
#include "stapes_audio/i2s.h"

#define PIN_SCK     4
#define PIN_WS      5
#define PIN_SD      6
#define SLOTS       2u                      /* left, the microphone's, and right */
#define GAIN        (16u * STAPES_GAIN_ONE) /* they are quiet */
#define FRAME_BYTES (SLOTS * sizeof(uint32_t))

static i2s_chan_handle_t channel;
static stapes_i2s_t converter;
static volatile uint32_t overwritten; /* bytes that the driver lost because nobody read */

static bool on_overflow(i2s_chan_handle_t handle, i2s_event_data_t *event, void *context) {
    (void)handle;
    (void)context;
    overwritten = overwritten + (uint32_t)event->size;
    return false;
}

int microphone_start(uint32_t sample_rate) {
    const i2s_chan_config_t port = I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_AUTO, I2S_ROLE_MASTER);
    const i2s_std_config_t config = {
        .clk_cfg = I2S_STD_CLK_DEFAULT_CONFIG(sample_rate),
        .slot_cfg = I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_STEREO),
        .gpio_cfg = {.mclk = I2S_GPIO_UNUSED,
                     .bclk = (gpio_num_t)PIN_SCK,
                     .ws = (gpio_num_t)PIN_WS,
                     .dout = I2S_GPIO_UNUSED,
                     .din = (gpio_num_t)PIN_SD,
                     .invert_flags = {}},
    };
    static i2s_event_callbacks_t callbacks;
    callbacks.on_recv_q_ovf = on_overflow;
    const bool is_started = stapes_i2s_init(&converter, SLOTS, 0u, 0u, GAIN) == STAPES_OK &&
                            i2s_new_channel(&port, NULL, &channel) == ESP_OK &&
                            i2s_channel_init_std_mode(channel, &config) == ESP_OK &&
                            i2s_channel_register_event_callback(channel, &callbacks, NULL) == ESP_OK &&
                            i2s_channel_enable(channel) == ESP_OK;
    return is_started ? STAPES_OK : STAPES_E_HARDWARE;
}

size_t microphone_read(int16_t *pcm, uint32_t *lost) {
    static uint32_t words[MICROPHONE_SAMPLES * SLOTS];
    static uint32_t told; /* of `overwritten` */
    size_t bytes = 0;
    (void)i2s_channel_read(channel, words, sizeof words, &bytes, 1000);
    const uint32_t now = overwritten;
    *lost = (now - told) / (uint32_t)FRAME_BYTES;
    told = now;
    stapes_i2s_push(&converter, words, bytes / FRAME_BYTES, pcm);
    return bytes / FRAME_BYTES;
}
