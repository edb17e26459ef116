/* ESP32, ESP32-S3 or ESP32-C3 as a board of stapes, through ESP-IDF's drivers. */
#include "board.h"
#include "driver/gpio.h"
#include "driver/uart.h"
#include "esp_cpu.h"
#include "esp_mac.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#define PORT         ((uart_port_t)CONFIG_STAPES_UART_PORT)
#define BUFFER_BYTES 4096 /* more than one frame of the link */
#define FASTEST_BAUD 2000000u
#define WAIT_TICKS   pdMS_TO_TICKS(10) /* longest wait for a byte: the idle task runs meanwhile */
#define DRAIN_TICKS  pdMS_TO_TICKS(1000)
#define MAC_BYTES    6u

#ifdef __XTENSA__
#define CAUSE_EXCEPTION STAPES_FAULT_HARD
#else
#define CAUSE_EXCEPTION STAPES_FAULT_EXCEPTION
#endif

static const stapes_board_info_t info = {"esp_idf_" CONFIG_IDF_TARGET,
                                         STAPES_COUNTER_CYCLES,
                                         1u,
                                         1u,
                                         CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ * 1000000u,
                                         FASTEST_BAUD};
static bool watched;
static bool fault_told;

void board_init(void) {
    const uart_config_t config = {
        .baud_rate = (int)STAPES_BOOT_BAUD,
        .data_bits = UART_DATA_8_BITS,
        .parity = UART_PARITY_DISABLE,
        .stop_bits = UART_STOP_BITS_1,
        .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
        .source_clk = UART_SCLK_DEFAULT,
    };
    ESP_ERROR_CHECK(uart_driver_install(PORT, BUFFER_BYTES, 0, 0, NULL, 0));
    ESP_ERROR_CHECK(uart_param_config(PORT, &config));
    ESP_ERROR_CHECK(uart_set_pin(PORT, CONFIG_STAPES_UART_TX, CONFIG_STAPES_UART_RX, UART_PIN_NO_CHANGE,
                                 UART_PIN_NO_CHANGE));
#if CONFIG_STAPES_LED >= 0
    ESP_ERROR_CHECK(gpio_set_direction((gpio_num_t)CONFIG_STAPES_LED, GPIO_MODE_OUTPUT));
#endif
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    size_t waiting = 0;
    (void)uart_get_buffered_data_len(PORT, &waiting);
    size_t wanted = waiting == 0u ? 1u : waiting < capacity ? waiting : capacity;
    int count = uart_read_bytes(PORT, bytes, (uint32_t)wanted, waiting == 0u ? WAIT_TICKS : 0);
    return count > 0 ? (size_t)count : 0u;
}

void board_write(const uint8_t *bytes, size_t count) {
    (void)uart_write_bytes(PORT, bytes, count);
}

void board_set_baud(uint32_t baud) {
    (void)uart_wait_tx_done(PORT, DRAIN_TICKS);
    (void)uart_set_baudrate(PORT, baud);
}

uint32_t board_ticks(void) {
    return (uint32_t)esp_cpu_get_cycle_count();
}

uint32_t board_stack_high_water(void) {
    return (uint32_t)CONFIG_STAPES_STACK_BYTES - (uint32_t)uxTaskGetStackHighWaterMark(NULL);
}

void board_led(int on) {
#if CONFIG_STAPES_LED >= 0
    (void)gpio_set_level((gpio_num_t)CONFIG_STAPES_LED, on != 0 ? 1u : 0u);
#else
    (void)on;
#endif
}

size_t board_unique_id(uint8_t *id, size_t capacity) {
    return capacity >= MAC_BYTES && esp_efuse_mac_get_default(id) == ESP_OK ? MAC_BYTES : 0u;
}

void board_watchdog_start(uint32_t timeout_ms) {
    const esp_task_wdt_config_t config = {
        .timeout_ms = timeout_ms, .idle_core_mask = 0, .trigger_panic = true};
    if (watched) {
        (void)esp_task_wdt_reconfigure(&config);
    } else if (esp_task_wdt_init(&config) == ESP_OK && esp_task_wdt_add(NULL) == ESP_OK) {
        watched = true;
    }
}

void board_watchdog_feed(void) {
    if (watched) {
        (void)esp_task_wdt_reset();
    }
}

void board_sleep(void) {
    vTaskDelay(1);
}

/* ESP-IDF keeps why it restarted; the registers go to its own panic handler. */
int board_fault(board_fault_t *fault) {
    esp_reset_reason_t reason = esp_reset_reason();
    bool watchdog = reason == ESP_RST_INT_WDT || reason == ESP_RST_TASK_WDT || reason == ESP_RST_WDT;
    if (fault_told || (!watchdog && reason != ESP_RST_PANIC)) {
        return 0;
    }
    fault_told = true;
    *fault = (board_fault_t){.cause = watchdog ? STAPES_FAULT_WATCHDOG : CAUSE_EXCEPTION};
    return 1;
}

void board_reset(void) {
    esp_restart();
}

void board_exit(int status) {
    (void)status;
    esp_restart();
}
