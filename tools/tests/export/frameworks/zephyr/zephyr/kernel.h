/* The part of Zephyr 4's interface that the samples use, on a host: names and signatures as in
 * include/zephyr/kernel.h, device.h and devicetree.h. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct device {
    const char *name;
    const void *api;
};
bool device_is_ready(const struct device *dev);
extern const struct device zephyr_dmic_dev;
#define DT_NODELABEL(label)    zephyr_##label
#define DEVICE_DT_GET(node_id) (&node_id)

struct k_mem_slab {
    size_t block_size;
    uint32_t num_blocks;
    char *buffer;
};
#define K_MEM_SLAB_DEFINE_STATIC(name, slab_block_size, slab_num_blocks, slab_align)                         \
    static char __attribute__((aligned(slab_align))) name##_buffer[(slab_num_blocks) * (slab_block_size)];   \
    static struct k_mem_slab name = {slab_block_size, slab_num_blocks, name##_buffer}
void k_mem_slab_free(struct k_mem_slab *slab, void *mem);

int64_t k_uptime_get(void);

#ifdef __cplusplus
}
#endif

#endif
