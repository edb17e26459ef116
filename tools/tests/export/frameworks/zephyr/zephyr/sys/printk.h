#ifndef ZEPHYR_PRINTK_H
#define ZEPHYR_PRINTK_H

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((format(printf, 1, 2))) void
    printk(const char *fmt, ...);

#endif
