/* What every program that serves the link says about itself and its line. */
#ifndef STAPES_DEVICE_H
#define STAPES_DEVICE_H

#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "link.h"
#include "stapes_app.h"
#include "wire.h"

#ifndef STAPES_LINK_PAYLOAD
#define STAPES_LINK_PAYLOAD 2048u
#endif

#define DEVICE_LONGEST_TEXT 31u /* bytes of a text or id in the hello */

typedef struct {
    uint32_t baud;   /* to change to after the answer was sent, 0: no change */
    bool trial;      /* changed, and nothing good was heard since */
    uint32_t ticks;  /* when */
    uint32_t frames; /* good frames until then */
} device_speed_t;

static inline uint8_t *device_text(uint8_t *answer, const char *text) {
    size_t length = 0;
    while (length < DEVICE_LONGEST_TEXT && text[length] != '\0') {
        length++;
    }
    *answer = (uint8_t)length;
    memcpy(answer + 1, text, length);
    return answer + 1 + length;
}

static inline int device_hello(uint8_t *answer, size_t capacity) {
    const stapes_board_info_t *board = board_info();
    if (capacity < 96u + 4u * (1u + DEVICE_LONGEST_TEXT)) {
        return STAPES_E_MEMORY;
    }
    answer[0] = STAPES_PROTOCOL_VERSION;
    answer[1] = (uint8_t)board->counter;
    stapes_put_u16(answer + 2, STAPES_API_VERSION);
    stapes_put_u32(answer + 4, board->counter_numerator);
    stapes_put_u32(answer + 8, board->counter_denominator);
    stapes_put_u32(answer + 12, STAPES_APP_SAMPLE_RATE);
    stapes_put_u16(answer + 16, (uint16_t)STAPES_LINK_PAYLOAD);
    stapes_put_u16(answer + 18, STAPES_APP_MODEL_LAYER_COUNT);
    stapes_put_u16(answer + 20, STAPES_APP_CLASSES);
    stapes_put_u16(answer + 22, STAPES_APP_WINDOW_FRAMES);
    stapes_put_u16(answer + 24, STAPES_APP_WINDOW_HOP_FRAMES);
    stapes_put_u16(answer + 26, STAPES_APP_N_FEATURES);
    stapes_put_u16(answer + 28, STAPES_APP_FRAME_LENGTH);
    stapes_put_u16(answer + 30, STAPES_APP_HOP_LENGTH);
    memcpy(answer + 32, stapes_app.hash, 32);
    memcpy(answer + 64, stapes_app.frontend_hash, 32);
    uint8_t *end = answer + 96;
    end = device_text(end, board->name);
    end = device_text(end, STAPES_BUILD_ID);
    end = device_text(end, STAPES_VERSION);
    size_t id_length = board_unique_id(end + 1, DEVICE_LONGEST_TEXT);
    *end = (uint8_t)id_length;
    return (int)(end + 1 + id_length - answer);
}

static inline int device_baud(device_speed_t *speed, const uint8_t *payload, size_t length) {
    if (length != 4u) {
        return STAPES_E_MESSAGE;
    }
    uint32_t baud = stapes_get_u32(payload);
    if (baud < STAPES_BOOT_BAUD || baud > board_info()->max_baud) {
        return STAPES_E_ARGUMENT;
    }
    speed->baud = baud;
    return 0;
}

/* A new speed at which nothing good is heard for a second is given up for the one at boot. */
static inline void device_change_speed(device_speed_t *speed, const stapes_link_t *link) {
    if (speed->baud != 0u) {
        board_set_baud(speed->baud);
        speed->baud = 0;
        speed->trial = true;
        speed->ticks = board_ticks();
        speed->frames = link->frames_good;
    } else if (speed->trial && link->frames_good != speed->frames) {
        speed->trial = false;
    } else if (speed->trial && board_ticks() - speed->ticks > board_info()->ticks_per_second) {
        speed->trial = false;
        board_set_baud(STAPES_BOOT_BAUD);
    }
}

static inline int device_stats(const stapes_link_t *link, uint8_t *answer) {
    stapes_put_u32(answer, board_stack_high_water());
    stapes_put_u32(answer + 4, link->frames_good);
    stapes_put_u32(answer + 8, link->frames_bad);
    stapes_put_u32(answer + 12, link->replays);
    return 16;
}

#endif
