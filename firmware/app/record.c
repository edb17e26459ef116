/* The recorder: the board's microphone over the link, and nothing else. It needs no bundle: recordings come
 * before the network. docs/own-sounds.md tells of it, docs/link-protocol.md of its messages. */
#include "board.h"
#include "device.h"
#include "recording.h"

static recording_t recording;

static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    (void)context;
    switch (type) {
    case STAPES_MESSAGE_RECORD: return recording_start(&recording, payload, length, out);
    case STAPES_MESSAGE_SAMPLES:
        return length != 0u ? STAPES_E_MESSAGE : recording_take(&recording, out, capacity);
    default: return STAPES_E_MESSAGE;
    }
}

int main(void) {
    board_init();
    device_start(answer);
    for (;;) {
        if (!device_turn()) {
            board_sleep();
        }
    }
}
