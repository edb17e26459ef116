/* A PDM microphone: CLK and DAT at these pins, L/R at GND; for chips that turn PDM into PCM (ESP32,
 * ESP32-S3). */
#include "driver/i2s_pdm.h"
#include "microphone.h"
#include "stapes/error.h"

#define PIN_CLK 4
#define PIN_DAT 6

static i2s_chan_handle_t channel;
static volatile uint32_t overwritten; /* bytes that the driver lost because nobody read */

static bool on_overflow(i2s_chan_handle_t handle, i2s_event_data_t *event, void *context) {
    (void)handle;
    (void)context;
    overwritten = overwritten + (uint32_t)event->size;
    return false;
}

int microphone_start(uint32_t sample_rate) {
    const i2s_chan_config_t port =
        I2S_CHANNEL_DEFAULT_CONFIG(I2S_NUM_0, I2S_ROLE_MASTER); /* it alone takes PDM */
    const i2s_pdm_rx_clk_config_t clock = I2S_PDM_RX_CLK_DEFAULT_CONFIG(sample_rate);
    const i2s_pdm_rx_slot_config_t slots =
        I2S_PDM_RX_SLOT_DEFAULT_CONFIG(I2S_DATA_BIT_WIDTH_16BIT, I2S_SLOT_MODE_MONO);
    static i2s_pdm_rx_config_t config;
    static i2s_event_callbacks_t callbacks;
    config.clk_cfg = clock;
    config.slot_cfg = slots;
    config.gpio_cfg.clk = (gpio_num_t)PIN_CLK;
    config.gpio_cfg.din = (gpio_num_t)PIN_DAT;
    callbacks.on_recv_q_ovf = on_overflow;
    const bool is_started = i2s_new_channel(&port, NULL, &channel) == ESP_OK &&
                            i2s_channel_init_pdm_rx_mode(channel, &config) == ESP_OK &&
                            i2s_channel_register_event_callback(channel, &callbacks, NULL) == ESP_OK &&
                            i2s_channel_enable(channel) == ESP_OK;
    return is_started ? STAPES_OK : STAPES_E_HARDWARE;
}

size_t microphone_read(int16_t *pcm, uint32_t *lost) {
    static uint32_t told; /* of `overwritten` */
    size_t bytes = 0;
    (void)i2s_channel_read(channel, pcm, MICROPHONE_SAMPLES * sizeof *pcm, &bytes, 1000);
    const uint32_t now = overwritten;
    *lost = (now - told) / (uint32_t)sizeof *pcm;
    told = now;
    return bytes / sizeof *pcm;
}
