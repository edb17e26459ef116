/* Listens for ever: blocks of samples from Zephyr's digital microphone driver, events out. The board's
 * overlay labels its PDM interface dmic_dev: see boards/. */
#include <zephyr/audio/dmic.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

#include "stapes_app.h"

#define BLOCK_BYTES (STAPES_APP_SAMPLE_RATE / 50 * sizeof(int16_t)) /* 20 ms */
#define BLOCKS      8 /* how long the loop below may be away, in blocks */
#define WAIT_MS     1000

K_MEM_SLAB_DEFINE_STATIC(blocks, BLOCK_BYTES, BLOCKS, 4);
static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;

static void print_time(uint64_t sample) {
    printk("%lu.%03lu", (unsigned long)(sample / STAPES_APP_SAMPLE_RATE),
           (unsigned long)(sample % STAPES_APP_SAMPLE_RATE * 1000u / STAPES_APP_SAMPLE_RATE));
}

/* Here your program reacts. */
static void on_event(void *context, const stapes_live_event_t *event) {
    (void)context;
    if (event->kind == STAPES_LIVE_LEVEL) {
        return; /* how loud it was */
    }
    const char *what = event->class_index >= 0 ? stapes_app.labels[event->class_index] : "lost";
    print_time(event->start);
    if (event->kind == STAPES_LIVE_BEGIN) {
        printk(" s: %s begins\n", what);
        return;
    }
    printk(" to ");
    print_time(event->end);
    printk(" s: %s\n", what);
}

static int start(const struct device *microphone) {
    static struct pcm_stream_cfg stream;
    static struct dmic_cfg config;
    stream.pcm_rate = STAPES_APP_SAMPLE_RATE;
    stream.pcm_width = 16;
    stream.block_size = BLOCK_BYTES;
    stream.mem_slab = &blocks;
    config.io.min_pdm_clk_freq = 1000000; /* what the microphone takes */
    config.io.max_pdm_clk_freq = 3500000;
    config.io.min_pdm_clk_dc = 40;
    config.io.max_pdm_clk_dc = 60;
    config.streams = &stream;
    config.channel.req_num_streams = 1;
    config.channel.req_num_chan = 1;
    config.channel.req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT);
    const int error = dmic_configure(microphone, &config);
    return error < 0 ? error : dmic_trigger(microphone, DMIC_TRIGGER_START);
}

int main(void) {
    const struct device *const microphone = DEVICE_DT_GET(DT_NODELABEL(dmic_dev));
    int error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    if (error == STAPES_OK && (!device_is_ready(microphone) || start(microphone) < 0)) {
        error = STAPES_E_HARDWARE;
    }
    const int64_t began = k_uptime_get();
    while (error == STAPES_OK) {
        void *block;
        size_t bytes;
        if (dmic_read(microphone, 0, &block, &bytes, WAIT_MS) < 0) {
            /* The driver ran out of blocks and stopped: the clock tells how much was lost. */
            (void)dmic_trigger(microphone, DMIC_TRIGGER_STOP);
            const uint64_t now = (uint64_t)(k_uptime_get() - began) * STAPES_APP_SAMPLE_RATE / 1000u;
            const uint64_t heard = stapes_live_samples(&live);
            error = stapes_live_lose(&live, now > heard ? (uint32_t)(now - heard) : 1u);
            if (error == STAPES_OK && dmic_trigger(microphone, DMIC_TRIGGER_START) < 0) {
                error = STAPES_E_HARDWARE;
            }
            continue;
        }
        error = stapes_live_push(&live, (const int16_t *)block, bytes / sizeof(int16_t));
        k_mem_slab_free(&blocks, block);
    }
    printk("%s\n", stapes_error_text(error));
    return 0;
}
