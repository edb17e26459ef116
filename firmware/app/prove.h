/* What both ends of the line of `stapes prove` do: a request is a letter, the bytes that follow and these; an
 * answer is a status (0: done), its bytes and these. Numbers are little-endian. A program that has included
 * this defines `serve` and calls `serve_requests`. */
#ifndef STAPES_PROVE_H
#define STAPES_PROVE_H

#include <string.h>

#include "board.h"

#ifndef STAPES_PROVE_BYTES
#define STAPES_PROVE_BYTES 65536u
#endif

enum {
#define NUMBER(name, value, text) name = (value),
#define STATUS(name, value, text) name = (value),
#include "prove.def"
};

static uint64_t work[STAPES_PROVE_BYTES / 8u]; /* the request, then what take() gives */
static size_t used;                            /* of the work area, in units of 8 bytes */
static const uint8_t *next;                    /* byte of the request */

static void receive(uint8_t *bytes, size_t count) {
    while (count != 0) {
        const size_t got = board_read(bytes, count);
        bytes += got;
        count -= got;
    }
}

static uint32_t get(uint32_t bytes) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        value |= (uint32_t)next[i] << (8u * i);
    }
    next += bytes;
    return value;
}

static void put(uint8_t *bytes, uint32_t value) {
    for (uint32_t i = 0; i < 4u; i++) {
        bytes[i] = (uint8_t)(value >> (8u * i));
    }
}

static void begin_answer(uint32_t status, size_t count) {
    uint8_t head[5];
    head[0] = (uint8_t)status;
    put(head + 1, (uint32_t)count);
    board_write(head, sizeof head);
}

static void answer(uint32_t status, const void *bytes, size_t count) {
    begin_answer(status, count);
    if (count != 0) {
        board_write(bytes, count);
    }
}

/* Zeroed bytes of the work area, aligned for anything; NULL: there are not enough. */
static void *take(size_t bytes) {
    const size_t units = (bytes + 7u) / 8u;
    if (units > sizeof work / sizeof *work - used) {
        return NULL;
    }
    void *taken = work + used;
    used += units;
    memset(taken, 0, units * 8u);
    return taken;
}

/* Answers the request `letter`, whose bytes get() gives. */
static void serve(uint8_t letter);

/* For ever. */
static void serve_requests(void) {
    board_init();
    for (;;) {
        uint8_t head[5];
        used = 0;
        receive(head, sizeof head);
        next = head + 1;
        const uint32_t length = get(4);
        uint8_t *request = take(length);
        if (request == NULL) {
            receive((uint8_t *)work, length < PIECE ? length : PIECE);
            answer(NO_ROOM, NULL, 0);
            continue;
        }
        /* In pieces that no console chokes on: a plus asks for the next. */
        for (uint32_t at = 0; at < length; at += PIECE) {
            if (at != 0u) {
                board_write((const uint8_t *)"+", 1);
            }
            receive(request + at, length - at < PIECE ? length - at : PIECE);
        }
        next = request;
        serve(head[0]);
    }
}

#endif
