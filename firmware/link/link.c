#include "link.h"

#include "crc32.h"
#include "wire.h"

#define SHORTEST_BUFFER STAPES_LINK_BUFFER_BYTES(64u)

int stapes_link_init(stapes_link_t *link, uint8_t *request, uint8_t *answer, size_t buffer_bytes,
                     stapes_link_handler_t handler, void *context, stapes_frame_write_t write) {
    if (link == NULL || request == NULL || answer == NULL || handler == NULL || write == NULL) {
        return STAPES_E_ARGUMENT;
    }
    if (buffer_bytes < SHORTEST_BUFFER) {
        return STAPES_E_MEMORY;
    }
    *link = (stapes_link_t){
        .handler = handler,
        .context = context,
        .write = write,
        .answer = answer,
        .answer_capacity = buffer_bytes,
    };
    stapes_frame_receiver_init(&link->receiver, request, buffer_bytes);
    return STAPES_OK;
}

static void put_header(uint8_t *frame, uint16_t sequence, uint8_t type, int status) {
    wire_answer_header_t *header = (wire_answer_header_t *)frame;
    STAPES_PUT(header->sequence, sequence);
    STAPES_PUT(header->type, type | STAPES_MESSAGE_ANSWER);
    STAPES_PUT(header->status, status);
}

/* An answer without payload that is not kept. */
static void refuse(const stapes_link_t *link, uint16_t sequence, uint8_t type, int error) {
    uint8_t frame[STAPES_ANSWER_HEADER_BYTES + STAPES_FRAME_CRC_BYTES];
    put_header(frame, sequence, type, error);
    stapes_frame_send(frame, stapes_frame_seal(frame, STAPES_ANSWER_HEADER_BYTES), link->write);
}

static void execute(stapes_link_t *link, uint16_t sequence, uint8_t type, const uint8_t *payload,
                    size_t length) {
    size_t capacity = link->answer_capacity - STAPES_ANSWER_HEADER_BYTES - STAPES_FRAME_CRC_BYTES;
    int result = link->handler(link->context, type, payload, length,
                               link->answer + STAPES_ANSWER_HEADER_BYTES, capacity);
    if (result > (int)capacity) {
        result = STAPES_E_MEMORY;
    }
    put_header(link->answer, sequence, type, result < 0 ? result : 0);
    size_t sealed = STAPES_ANSWER_HEADER_BYTES + (result > 0 ? (size_t)result : 0u);
    link->answer_length = stapes_frame_seal(link->answer, sealed);
    link->sequence = sequence;
    stapes_frame_send(link->answer, link->answer_length, link->write);
}

static void process(stapes_link_t *link, size_t length) {
    const uint8_t *frame = link->receiver.buffer;
    if (length < STAPES_REQUEST_HEADER_BYTES) {
        refuse(link, 0, STAPES_MESSAGE_DAMAGED, STAPES_E_FRAME);
        return;
    }
    const wire_request_header_t *header = (const wire_request_header_t *)frame;
    uint16_t sequence = stapes_get_u16(header->sequence);
    uint8_t type = header->type[0];
    const uint8_t *payload = frame + STAPES_REQUEST_HEADER_BYTES;
    size_t payload_length = length - STAPES_REQUEST_HEADER_BYTES;
    uint32_t crc = stapes_crc32(0, frame, length);
    bool again = link->open && sequence == link->sequence && crc == link->request_crc;
    if (again) {
        link->replays++;
        stapes_frame_send(link->answer, link->answer_length, link->write);
        return;
    }
    if (type == STAPES_MESSAGE_HELLO) {
        if (payload_length != sizeof(wire_hello_request_t)) {
            refuse(link, sequence, type, STAPES_E_MESSAGE);
            return;
        }
        uint32_t session = stapes_get_u32(((const wire_hello_request_t *)payload)->session);
        if (link->open && session == link->session) {
            return; /* an old copy of this session's hello */
        }
        link->session = session;
        link->open = true;
    } else if (!link->open || sequence != (uint16_t)(link->sequence + 1u)) {
        refuse(link, sequence, type, STAPES_E_SESSION);
        return;
    }
    link->request_crc = crc;
    execute(link, sequence, type, payload, payload_length);
}

void stapes_link_receive(stapes_link_t *link, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int result = stapes_frame_receive(&link->receiver, bytes[i]);
        if (result > 0) {
            link->frames_good++;
            process(link, (size_t)result);
        } else if (result < 0) {
            link->frames_bad++;
            refuse(link, 0, STAPES_MESSAGE_DAMAGED, STAPES_E_FRAME);
        }
    }
}
