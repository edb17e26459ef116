/* The link with a handler that can be reasoned about, between standard input and standard output.
 *
 * Request 3 appends its payload to a log and answers with the log's length and CRC-32, so that a request that
 * is lost, carried out twice or in another order shows. Request 4 answers with its payload. Request 5 fails.
 * Request 6 claims a longer answer than there is room for. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crc32.h"
#include "link.h"
#include "wire.h"

#define PAYLOAD 256u

static stapes_link_t server;
static uint8_t request[STAPES_LINK_BUFFER_BYTES(PAYLOAD)];
static uint8_t answer[STAPES_LINK_BUFFER_BYTES(PAYLOAD)];
static uint32_t log_length, log_crc;

static int handle(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    switch (type) {
    case STAPES_MESSAGE_HELLO: log_length = log_crc = 0; return 0;
    case 3:
        log_crc = stapes_crc32(log_crc, payload, length);
        log_length += (uint32_t)length;
        stapes_put_u32(out, log_length);
        stapes_put_u32(out + 4, log_crc);
        return 8;
    case 4:
        if (length > capacity) {
            return STAPES_E_MEMORY;
        }
        memcpy(out, payload, length);
        return (int)length;
    case 5: return STAPES_E_HARDWARE;
    case 6: return (int)capacity + 1;
    default: return STAPES_E_MESSAGE;
    }
}

static void write_all(const uint8_t *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(STDOUT_FILENO, bytes, count);
        if (written <= 0) {
            _exit(1);
        }
        bytes += written;
        count -= (size_t)written;
    }
}

int main(void) {
    if (stapes_link_init(&server, request, answer, sizeof request, handle, NULL, write_all) != STAPES_OK) {
        return 2;
    }
    if (stapes_link_init(&server, request, answer, 16, handle, NULL, write_all) != STAPES_E_MEMORY ||
        stapes_link_init(&server, NULL, answer, 99, handle, NULL, write_all) != STAPES_E_ARGUMENT) {
        return 3;
    }
    (void)stapes_link_init(&server, request, answer, sizeof request, handle, NULL, write_all);
    for (;;) {
        uint8_t bytes[61];
        ssize_t count = read(STDIN_FILENO, bytes, sizeof bytes);
        if (count <= 0) {
            return 0;
        }
        stapes_link_receive(&server, bytes, (size_t)count);
    }
}
