/* The part of TinyUSB that boards/stm32/usb_cdc.c uses, without a bus: usb_bus.c is what the host does. */
#ifndef STAPES_TUSB_STAND_IN_H
#define STAPES_TUSB_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPT_OS_NONE         1
#define OPT_MODE_DEVICE     1
#define OPT_MODE_FULL_SPEED 0
#include "tusb_config.h"

enum { TUSB_ROLE_DEVICE = 1, TUSB_SPEED_FULL = 0 };
typedef struct {
    uint8_t role, speed;
} tusb_rhport_init_t;

bool tusb_init(uint8_t port, const tusb_rhport_init_t *start);
void tusb_int_handler(uint8_t port, bool in_interrupt);
void tud_task(void);
bool tud_ready(void);
uint32_t tud_cdc_read(void *bytes, uint32_t capacity);
uint32_t tud_cdc_write(const void *bytes, uint32_t count);
uint32_t tud_cdc_write_flush(void);
bool tud_cdc_write_clear(void);

/* Asked of the application. */
const uint8_t *tud_descriptor_device_cb(void);
const uint8_t *tud_descriptor_configuration_cb(uint8_t index);
const uint16_t *tud_descriptor_string_cb(uint8_t index, uint16_t language);
void tud_cdc_line_state_cb(uint8_t interface, bool dtr, bool rts);

#endif
