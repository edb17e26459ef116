/* The part of ESP-IDF's interface that the example uses, on a host: names and signatures as in ESP-IDF 5. */
#ifndef IDF_H
#define IDF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef int esp_err_t;
#define ESP_OK   0
#define ESP_FAIL (-1)
#define ESP_ERROR_CHECK(x)                                                                                   \
    do {                                                                                                     \
        if ((x) != ESP_OK) {                                                                                 \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

typedef int BaseType_t;
typedef unsigned UBaseType_t;
typedef uint32_t TickType_t;
typedef void *TaskHandle_t;
typedef void *SemaphoreHandle_t;
typedef void *QueueHandle_t;
typedef void (*TaskFunction_t)(void *);
#define pdPASS            1
#define pdTRUE            1
#define portMAX_DELAY     UINT32_MAX
#define pdMS_TO_TICKS(ms) ((TickType_t)(ms))
BaseType_t xTaskCreatePinnedToCore(TaskFunction_t task, const char *name, uint32_t stack, void *context,
                                   UBaseType_t priority, TaskHandle_t *handle, BaseType_t core);
void vTaskDelete(TaskHandle_t task);
void vTaskDelay(TickType_t ticks);
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task);
SemaphoreHandle_t xSemaphoreCreateMutex(void);
BaseType_t xSemaphoreTake(SemaphoreHandle_t mutex, TickType_t ticks);
BaseType_t xSemaphoreGive(SemaphoreHandle_t mutex);

typedef enum {
    ESP_RST_UNKNOWN,
    ESP_RST_SW,
    ESP_RST_PANIC,
    ESP_RST_INT_WDT,
    ESP_RST_TASK_WDT,
    ESP_RST_WDT
} esp_reset_reason_t;
esp_reset_reason_t esp_reset_reason(void);
__attribute__((noreturn)) void esp_restart(void);
uint32_t esp_cpu_get_cycle_count(void);
esp_err_t esp_efuse_mac_get_default(uint8_t *mac);

typedef struct {
    uint32_t timeout_ms;
    uint32_t idle_core_mask;
    bool trigger_panic;
} esp_task_wdt_config_t;
esp_err_t esp_task_wdt_init(const esp_task_wdt_config_t *config);
esp_err_t esp_task_wdt_reconfigure(const esp_task_wdt_config_t *config);
esp_err_t esp_task_wdt_add(TaskHandle_t task);
esp_err_t esp_task_wdt_reset(void);

typedef int gpio_num_t;
typedef enum { GPIO_MODE_OUTPUT } gpio_mode_t;
esp_err_t gpio_set_direction(gpio_num_t gpio, gpio_mode_t mode);
esp_err_t gpio_set_level(gpio_num_t gpio, uint32_t level);

typedef int uart_port_t;
typedef struct {
    int baud_rate;
    int data_bits, parity, stop_bits, flow_ctrl, source_clk;
} uart_config_t;
enum { UART_DATA_8_BITS, UART_PARITY_DISABLE, UART_STOP_BITS_1, UART_HW_FLOWCTRL_DISABLE, UART_SCLK_DEFAULT };
#define UART_PIN_NO_CHANGE (-1)
esp_err_t uart_driver_install(uart_port_t port, int rx_bytes, int tx_bytes, int events, QueueHandle_t *queue,
                              int flags);
esp_err_t uart_param_config(uart_port_t port, const uart_config_t *config);
esp_err_t uart_set_pin(uart_port_t port, int tx, int rx, int rts, int cts);
esp_err_t uart_get_buffered_data_len(uart_port_t port, size_t *bytes);
int uart_read_bytes(uart_port_t port, void *bytes, uint32_t length, uint32_t ticks);
int uart_write_bytes(uart_port_t port, const void *bytes, size_t size);
esp_err_t uart_wait_tx_done(uart_port_t port, uint32_t ticks);
esp_err_t uart_set_baudrate(uart_port_t port, uint32_t baud);

typedef struct i2s_channel *i2s_chan_handle_t;
typedef struct {
    void *data;
    size_t size;
} i2s_event_data_t;
typedef bool (*i2s_isr_callback_t)(i2s_chan_handle_t handle, i2s_event_data_t *event, void *context);
typedef struct {
    i2s_isr_callback_t on_recv, on_recv_q_ovf, on_sent, on_send_q_ovf;
} i2s_event_callbacks_t;
typedef struct {
    int id, role;
    uint32_t dma_desc_num, dma_frame_num;
} i2s_chan_config_t;
typedef struct {
    uint32_t sample_rate_hz;
} i2s_std_clk_config_t;
typedef struct {
    int data_bit_width, slot_mode;
} i2s_std_slot_config_t;
typedef struct {
    gpio_num_t mclk, bclk, ws, dout, din;
} i2s_std_gpio_config_t;
typedef struct {
    i2s_std_clk_config_t clk_cfg;
    i2s_std_slot_config_t slot_cfg;
    i2s_std_gpio_config_t gpio_cfg;
} i2s_std_config_t;
enum { I2S_NUM_AUTO, I2S_ROLE_MASTER, I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_STEREO };
#define I2S_GPIO_UNUSED (-1)
#define I2S_CHANNEL_DEFAULT_CONFIG(number, what)                                                             \
    { .id = (number), .role = (what) }
#define I2S_STD_CLK_DEFAULT_CONFIG(rate)                                                                     \
    { .sample_rate_hz = (rate) }
#define I2S_STD_PHILIPS_SLOT_DEFAULT_CONFIG(bits, mode)                                                      \
    { .data_bit_width = (bits), .slot_mode = (mode) }
esp_err_t i2s_new_channel(const i2s_chan_config_t *config, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx);
esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t handle, const i2s_std_config_t *config);
esp_err_t i2s_channel_reconfig_std_clock(i2s_chan_handle_t handle, const i2s_std_clk_config_t *config);
esp_err_t i2s_channel_register_event_callback(i2s_chan_handle_t handle,
                                              const i2s_event_callbacks_t *callbacks, void *context);
esp_err_t i2s_channel_enable(i2s_chan_handle_t handle);
esp_err_t i2s_channel_disable(i2s_chan_handle_t handle);
esp_err_t i2s_channel_read(i2s_chan_handle_t handle, void *bytes, size_t size, size_t *read, uint32_t ticks);

#endif
