/* ESP-IDF's drivers on a host: the UART is a pseudo-terminal whose name is the first line of standard output,
 * tasks are threads, the microphone counts. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "idf.h"

void app_main(void);

static int line = -1;

int main(int argc, char **argv) {
    (void)argc;
    const char *inherited = getenv("FAKE_IDF_LINE");
    if (inherited != NULL) {
        line = atoi(inherited);
    } else {
        line = posix_openpt(O_RDWR | O_NOCTTY);
        if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0) {
            return 2;
        }
        char text[16];
        (void)snprintf(text, sizeof text, "%d", line);
        (void)setenv("FAKE_IDF_LINE", text, 1);
        (void)setenv("FAKE_IDF_PROGRAM", argv[0], 1);
        int other = open(ptsname(line), O_RDWR | O_NOCTTY); /* keeps the line alive */
        struct termios raw;
        if (other < 0 || tcgetattr(other, &raw) != 0) {
            return 2;
        }
        cfmakeraw(&raw);
        (void)tcsetattr(other, TCSANOW, &raw);
        printf("%s\n", ptsname(line));
        (void)fflush(stdout);
    }
    app_main();
    for (;;) {
        (void)pause();
    }
}

typedef struct {
    TaskFunction_t task;
    void *context;
} start_t;

static void *run(void *argument) {
    start_t start = *(start_t *)argument;
    free(argument);
    start.task(start.context);
    return NULL;
}

BaseType_t xTaskCreatePinnedToCore(TaskFunction_t task, const char *name, uint32_t stack, void *context,
                                   UBaseType_t priority, TaskHandle_t *handle, BaseType_t core) {
    (void)name, (void)stack, (void)priority, (void)handle, (void)core;
    pthread_t thread;
    start_t *start = malloc(sizeof *start);
    *start = (start_t){task, context};
    return pthread_create(&thread, NULL, run, start) == 0 ? pdPASS : 0;
}

void vTaskDelete(TaskHandle_t task) {
    (void)task;
    pthread_exit(NULL);
}

void vTaskDelay(TickType_t ticks) {
    (void)usleep(ticks * 1000u);
}

UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task) {
    (void)task;
    return 5000;
}

SemaphoreHandle_t xSemaphoreCreateMutex(void) {
    pthread_mutex_t *mutex = malloc(sizeof *mutex);
    return pthread_mutex_init(mutex, NULL) == 0 ? mutex : NULL;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t mutex, TickType_t ticks) {
    (void)ticks;
    return pthread_mutex_lock(mutex) == 0;
}

BaseType_t xSemaphoreGive(SemaphoreHandle_t mutex) {
    return pthread_mutex_unlock(mutex) == 0;
}

esp_reset_reason_t esp_reset_reason(void) {
    return ESP_RST_TASK_WDT;
}

void esp_restart(void) {
    (void)execl(getenv("FAKE_IDF_PROGRAM"), getenv("FAKE_IDF_PROGRAM"), (char *)NULL);
    abort();
}

uint32_t esp_cpu_get_cycle_count(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 160000000u + (uint64_t)now.tv_nsec * 160u / 1000u);
}

esp_err_t esp_efuse_mac_get_default(uint8_t *mac) {
    (void)memcpy(mac, "\x02\x00\x00\x00\x00\x07", 6);
    return ESP_OK;
}

esp_err_t esp_task_wdt_init(const esp_task_wdt_config_t *config) {
    return config->timeout_ms > 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_task_wdt_reconfigure(const esp_task_wdt_config_t *config) {
    return esp_task_wdt_init(config);
}

esp_err_t esp_task_wdt_add(TaskHandle_t task) {
    return task == NULL ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_task_wdt_reset(void) {
    return ESP_OK;
}

esp_err_t gpio_set_direction(gpio_num_t gpio, gpio_mode_t mode) {
    return gpio >= 0 && mode == GPIO_MODE_OUTPUT ? ESP_OK : ESP_FAIL;
}

esp_err_t gpio_set_level(gpio_num_t gpio, uint32_t level) {
    return gpio >= 0 && level <= 1 ? ESP_OK : ESP_FAIL;
}

esp_err_t uart_driver_install(uart_port_t port, int rx_bytes, int tx_bytes, int events, QueueHandle_t *queue,
                              int flags) {
    (void)port, (void)tx_bytes, (void)events, (void)queue, (void)flags;
    return rx_bytes > 128 ? ESP_OK : ESP_FAIL; /* larger than the hardware's FIFO, as ESP-IDF demands */
}

esp_err_t uart_param_config(uart_port_t port, const uart_config_t *config) {
    (void)port;
    return config->baud_rate > 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t uart_set_pin(uart_port_t port, int tx, int rx, int rts, int cts) {
    (void)port, (void)rts, (void)cts;
    return tx != rx ? ESP_OK : ESP_FAIL;
}

esp_err_t uart_get_buffered_data_len(uart_port_t port, size_t *bytes) {
    int waiting = 0;
    (void)port;
    if (ioctl(line, FIONREAD, &waiting) != 0) {
        return ESP_FAIL;
    }
    *bytes = (size_t)waiting;
    return ESP_OK;
}

/* As ESP-IDF: waits for all of them, or for the time. */
int uart_read_bytes(uart_port_t port, void *bytes, uint32_t length, uint32_t ticks) {
    (void)port;
    uint32_t count = 0;
    while (count < length) {
        struct pollfd waiting = {line, POLLIN, 0};
        if (poll(&waiting, 1, (int)ticks) <= 0) {
            break;
        }
        ssize_t got = read(line, (uint8_t *)bytes + count, length - count);
        if (got <= 0) {
            exit(0); /* the other end is gone */
        }
        count += (uint32_t)got;
    }
    return (int)count;
}

int uart_write_bytes(uart_port_t port, const void *bytes, size_t size) {
    (void)port;
    return (int)write(line, bytes, size);
}

esp_err_t uart_wait_tx_done(uart_port_t port, uint32_t ticks) {
    (void)port, (void)ticks;
    return ESP_OK;
}

esp_err_t uart_set_baudrate(uart_port_t port, uint32_t baud) {
    (void)port;
    return baud > 0 ? ESP_OK : ESP_FAIL;
}

/* Frame n: left (n mod 65536 - 32768) * 65536, right all ones. */
static struct i2s_channel {
    i2s_event_callbacks_t callbacks;
    uint32_t frame;
    volatile bool enabled;
} microphone;

esp_err_t i2s_new_channel(const i2s_chan_config_t *config, i2s_chan_handle_t *tx, i2s_chan_handle_t *rx) {
    *rx = &microphone;
    return tx == NULL && config->dma_desc_num >= 2 && config->dma_frame_num * 8u <= 4092u ? ESP_OK : ESP_FAIL;
}

esp_err_t i2s_channel_init_std_mode(i2s_chan_handle_t handle, const i2s_std_config_t *config) {
    return !handle->enabled && config->gpio_cfg.din >= 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t i2s_channel_reconfig_std_clock(i2s_chan_handle_t handle, const i2s_std_clk_config_t *config) {
    return !handle->enabled && config->sample_rate_hz > 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t i2s_channel_register_event_callback(i2s_chan_handle_t handle,
                                              const i2s_event_callbacks_t *callbacks, void *context) {
    (void)context;
    handle->callbacks = *callbacks;
    return handle->enabled ? ESP_FAIL : ESP_OK;
}

esp_err_t i2s_channel_enable(i2s_chan_handle_t handle) {
    esp_err_t result = handle->enabled ? ESP_FAIL : ESP_OK;
    handle->enabled = true;
    return result;
}

esp_err_t i2s_channel_disable(i2s_chan_handle_t handle) {
    esp_err_t result = handle->enabled ? ESP_OK : ESP_FAIL;
    handle->enabled = false;
    return result;
}

/* A buffer every millisecond; before frame 2400 one of them is overwritten. */
esp_err_t i2s_channel_read(i2s_chan_handle_t handle, void *bytes, size_t size, size_t *read, uint32_t ticks) {
    (void)ticks;
    if (!handle->enabled) {
        return ESP_FAIL;
    }
    (void)usleep(1000);
    if (handle->frame == 2400) {
        i2s_event_data_t event = {NULL, size};
        (void)handle->callbacks.on_recv_q_ovf(handle, &event, NULL);
        handle->frame += (uint32_t)(size / 8u);
    }
    uint32_t *words = bytes;
    for (size_t i = 0; i < size / 8u; i++, handle->frame++) {
        words[2u * i] = (handle->frame % 65536u - 32768u) * 65536u;
        words[2u * i + 1u] = UINT32_MAX;
    }
    *read = size;
    return ESP_OK;
}
