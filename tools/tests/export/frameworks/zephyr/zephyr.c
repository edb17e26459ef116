/* Zephyr's microphone driver on a computer: it hears the file of wav.h. */
#include <stdarg.h>
#include <stdio.h>
#include <zephyr/audio/dmic.h>
#include <zephyr/sys/printk.h>

#include "../wav.h"

const struct device zephyr_dmic_dev = {"dmic", NULL};
static struct pcm_stream_cfg stream;
static uint32_t in_use, next, samples, reads;
static bool is_started;

bool device_is_ready(const struct device *dev) {
    return dev == &zephyr_dmic_dev;
}

void k_mem_slab_free(struct k_mem_slab *slab, void *mem) {
    if (slab != stream.mem_slab || mem == NULL || in_use-- == 0u) {
        abort();
    }
}

int64_t k_uptime_get(void) {
    return (int64_t)samples * 1000 / 16000;
}

uint32_t dmic_build_channel_map(uint8_t channel, uint8_t pdm, enum pdm_lr lr) {
    return (((pdm & 7u) << 1) | (uint32_t)lr) << ((channel & 7u) * 4u);
}

int dmic_configure(const struct device *dev, struct dmic_cfg *cfg) {
    (void)dev;
    stream = cfg->streams[0];
    const bool fits = stream.block_size <= stream.mem_slab->block_size && stream.pcm_rate == 16000u;
    return fits && cfg->channel.req_num_chan == 1u && stream.pcm_width == 16u ? 0 : -22;
}

int dmic_trigger(const struct device *dev, enum dmic_trigger cmd) {
    (void)dev;
    is_started = cmd == DMIC_TRIGGER_START;
    return 0;
}

int dmic_read(const struct device *dev, uint8_t number, void **buffer, size_t *size, int32_t timeout) {
    (void)dev, (void)number, (void)timeout;
    if (!is_started || ++in_use > stream.mem_slab->num_blocks) {
        abort();
    }
    char *block = stream.mem_slab->buffer + next++ % stream.mem_slab->num_blocks * stream.mem_slab->block_size;
    const size_t count = wav_read((int16_t *)(void *)block, stream.block_size / 2u);
    samples += (uint32_t)count;
    if ((int)++reads == wav_loses_at()) {
        in_use--;
        return -5; /* the block is lost */
    }
    *buffer = block;
    *size = 2u * count;
    return 0;
}

void printk(const char *fmt, ...) {
    va_list arguments;
    va_start(arguments, fmt);
    (void)vprintf(fmt, arguments);
    va_end(arguments);
}
