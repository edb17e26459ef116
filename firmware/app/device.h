/* What every program that serves the link has in common: the line, its buffers, the watchdog, and the
 * messages HELLO, STATS, SELF_TEST, BAUD, FAULT and REBOOT. */
#ifndef STAPES_DEVICE_H
#define STAPES_DEVICE_H

#include <stdbool.h>

#include "board.h"
#include "link.h"
#include "wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef STAPES_LINK_PAYLOAD
#define STAPES_LINK_PAYLOAD 2048u
#endif

/* Call it once, after board_init(): starts the watchdog and opens the line. `handler` gets the messages that
 * are not the device's. */
void device_start(stapes_link_handler_t handler);

/* One turn of the main loop: answers what came, feeds the watchdog, does what answers promised (another
 * speed, a restart, a fault). Returns false where nothing goes on and the processor may sleep. */
bool device_turn(void);

/* Takes what the line brought; device_turn() does. */
void device_receive(const uint8_t *bytes, size_t count);

/* How many of `total` things of `size` bytes fit into `room` bytes, `first` (at most `total`) being the first
 * of them. */
static inline size_t device_page(size_t total, size_t first, size_t room, size_t size) {
    const size_t most = room / size;
    return total - first < most ? total - first : most;
}

#ifdef __cplusplus
}
#endif

#endif
