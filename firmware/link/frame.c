#include "frame.h"

#include "crc32.h"
#include "wire.h"

void stapes_frame_receiver_init(stapes_frame_receiver_t *receiver, uint8_t *buffer, size_t capacity) {
    *receiver = (stapes_frame_receiver_t){.buffer = buffer, .capacity = capacity};
}

static void append(stapes_frame_receiver_t *receiver, uint8_t byte) {
    if (receiver->length < receiver->capacity) {
        receiver->buffer[receiver->length++] = byte;
    } else {
        receiver->damaged = true;
    }
}

/* A 0x00 came: what is in the buffer is a frame or it is not. */
static int finish(stapes_frame_receiver_t *receiver) {
    const stapes_frame_receiver_t frame = *receiver;
    stapes_frame_receiver_init(receiver, frame.buffer, frame.capacity);
    if (!frame.started) {
        return 0;
    }
    if (frame.damaged || frame.left != 0u || frame.length <= STAPES_FRAME_CRC_BYTES) {
        return STAPES_E_FRAME;
    }
    size_t length = frame.length - STAPES_FRAME_CRC_BYTES;
    if (stapes_crc32(0, frame.buffer, length) != stapes_get_u32(frame.buffer + length)) {
        return STAPES_E_FRAME;
    }
    return (int)length;
}

int stapes_frame_receive(stapes_frame_receiver_t *receiver, uint8_t byte) {
    if (byte == 0u) {
        return finish(receiver);
    }
    receiver->started = true;
    if (receiver->damaged) {
        return 0;
    }
    if (receiver->left > 0u) {
        receiver->left--;
        append(receiver, byte);
        return 0;
    }
    if (receiver->zero) {
        append(receiver, 0u);
    }
    receiver->left = (uint8_t)(byte - 1u);
    receiver->zero = byte != 0xFFu;
    return 0;
}

size_t stapes_frame_seal(uint8_t *content, size_t length) {
    stapes_put_u32(content + length, stapes_crc32(0, content, length));
    return length + STAPES_FRAME_CRC_BYTES;
}

void stapes_frame_send(const uint8_t *sealed, size_t length, stapes_frame_write_t write) {
    static const uint8_t delimiter = 0u;
    write(&delimiter, 1);
    size_t start = 0;
    for (;;) {
        size_t run = 0;
        while (run < 254u && start + run < length && sealed[start + run] != 0u) {
            run++;
        }
        const uint8_t code = (uint8_t)(run + 1u);
        write(&code, 1);
        write(sealed + start, run);
        start += run;
        if (start == length) {
            break;
        }
        if (run < 254u) {
            start++; /* the zero that the code byte stands for */
        }
    }
    write(&delimiter, 1);
}
