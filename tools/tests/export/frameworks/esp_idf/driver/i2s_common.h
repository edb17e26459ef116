/* The part of ESP-IDF 5's I2S driver that the example uses, on a host: names and signatures as in
 * components/esp_driver_i2s/include/driver. */
#ifndef I2S_COMMON_H
#define I2S_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int esp_err_t;
#define ESP_OK 0
typedef enum { GPIO_NUM_NC = -1, GPIO_NUM_0 = 0, GPIO_NUM_MAX = 22 } gpio_num_t;
#define I2S_GPIO_UNUSED GPIO_NUM_NC
typedef enum { I2S_NUM_0 = 0, I2S_NUM_AUTO = -1 } i2s_port_t;
typedef enum { I2S_ROLE_MASTER, I2S_ROLE_SLAVE } i2s_role_t;
typedef enum { I2S_DATA_BIT_WIDTH_16BIT = 16, I2S_DATA_BIT_WIDTH_32BIT = 32 } i2s_data_bit_width_t;
typedef enum { I2S_SLOT_MODE_MONO = 1, I2S_SLOT_MODE_STEREO = 2 } i2s_slot_mode_t;

typedef struct i2s_channel_obj_t *i2s_chan_handle_t;
typedef struct {
    void *dma_buf;
    size_t size;
} i2s_event_data_t;
typedef bool (*i2s_isr_callback_t)(i2s_chan_handle_t handle, i2s_event_data_t *event, void *user_ctx);
typedef struct {
    i2s_isr_callback_t on_recv, on_recv_q_ovf, on_sent, on_send_q_ovf;
} i2s_event_callbacks_t;
typedef struct {
    int id;
    i2s_role_t role;
    uint32_t dma_desc_num, dma_frame_num;
} i2s_chan_config_t;
#define I2S_CHANNEL_DEFAULT_CONFIG(i2s_num, i2s_role)                                                        \
    { .id = i2s_num, .role = i2s_role, .dma_desc_num = 6, .dma_frame_num = 240 }

esp_err_t i2s_new_channel(const i2s_chan_config_t *chan_cfg, i2s_chan_handle_t *ret_tx_handle,
                          i2s_chan_handle_t *ret_rx_handle);
esp_err_t i2s_channel_register_event_callback(i2s_chan_handle_t handle, const i2s_event_callbacks_t *callbacks,
                                              void *user_data);
esp_err_t i2s_channel_enable(i2s_chan_handle_t handle);
esp_err_t i2s_channel_read(i2s_chan_handle_t handle, void *dest, size_t size, size_t *bytes_read,
                           uint32_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
