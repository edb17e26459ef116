/* ESP-IDF's I2S driver on a computer: it hears the file of wav.h. */
#include <string.h>

#include "../wav.h"
#include "driver/i2s_pdm.h"
#include "driver/i2s_std.h"

void app_main(void);

static i2s_event_callbacks_t callbacks;
static int slots, reads;
static bool is_enabled;
static i2s_chan_handle_t const channel = (i2s_chan_handle_t)&callbacks;

esp_err_t i2s_new_channel(const i2s_chan_config_t *chan_cfg, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx) {
    *rx = channel;
    return tx == NULL && chan_cfg->role == I2S_ROLE_MASTER && chan_cfg->dma_desc_num != 0u ? ESP_OK : -1;
}

esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t handle, const i2s_std_config_t *config) {
    slots = 2;
    return handle == channel && config->clk_cfg.sample_rate_hz == 16000u && config->gpio_cfg.din > 0 &&
                   config->gpio_cfg.mclk == I2S_GPIO_UNUSED &&
                   config->slot_cfg.data_bit_width == I2S_DATA_BIT_WIDTH_32BIT &&
                   config->slot_cfg.slot_mode == I2S_SLOT_MODE_STEREO
               ? ESP_OK
               : -1;
}

esp_err_t i2s_channel_init_pdm_rx_mode(i2s_chan_handle_t handle, const i2s_pdm_rx_config_t *config) {
    slots = 0;
    return handle == channel && config->clk_cfg.sample_rate_hz == 16000u && config->gpio_cfg.clk > 0 ? ESP_OK
                                                                                                      : -1;
}

esp_err_t i2s_channel_register_event_callback(i2s_chan_handle_t handle, const i2s_event_callbacks_t *all,
                                              void *user_data) {
    (void)handle, (void)user_data;
    callbacks = *all;
    return is_enabled ? -1 : ESP_OK; /* as in the driver: not any more */
}

esp_err_t i2s_channel_enable(i2s_chan_handle_t handle) {
    (void)handle;
    is_enabled = true;
    return ESP_OK;
}

esp_err_t i2s_channel_read(i2s_chan_handle_t handle, void *dest, size_t size, size_t *bytes_read,
                           uint32_t timeout_ms) {
    (void)timeout_ms;
    if (!is_enabled) {
        return -1;
    }
    const size_t frame = slots == 2 ? 8u : 2u;
    if (++reads == wav_loses_at()) {
        (void)wav_read(dest, 240u);
        i2s_event_data_t event = {NULL, 240u * frame};
        (void)callbacks.on_recv_q_ovf(handle, &event, NULL);
    }
    *bytes_read = frame * (slots == 2 ? wav_read_slots(dest, size / frame) : wav_read(dest, size / frame));
    return ESP_OK;
}

int main(void) {
    app_main();
    return 1;
}
