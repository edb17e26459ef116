#include "device.h"

#include <string.h>

#include "crc32.h"
#include "stapes/limits.h"
#include "stapes_app.h"

#define WATCHDOG_MS 4000u
#define HANG_MS     10u
#define NOWHERE     0xD0000000u /* an address where no supported board has memory */
#define TEXTS       4u          /* of the hello */
#define TEXT_BYTES  STAPES_LIMIT_HELLO_TEXT

typedef char hello_fits_one_message
    [sizeof(wire_hello_answer_t) + TEXTS * (1u + TEXT_BYTES) <= STAPES_LIMIT_LEAST_PAYLOAD ? 1 : -1];
typedef char payload_is_within_its_limits[STAPES_LINK_PAYLOAD >= STAPES_LIMIT_LEAST_PAYLOAD &&
                                                  STAPES_LINK_PAYLOAD <= STAPES_LIMIT_MOST_PAYLOAD
                                              ? 1
                                              : -1];

static struct {
    stapes_link_t link;
    stapes_link_handler_t handler;
    bool restarted; /* after `last_fault` */
    board_fault_t last_fault;
    bool reboot;           /* after the answer was sent */
    uint8_t raise;         /* STAPES_RAISE_…, after the answer was sent */
    uint32_t baud;         /* to change to after the answer was sent, 0: no change */
    bool trial;            /* changed, and nothing good was heard since */
    uint32_t trial_ticks;  /* when */
    uint32_t trial_frames; /* good frames until then */
} device;

static uint8_t request_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];
static uint8_t answer_buffer[STAPES_LINK_BUFFER_BYTES(STAPES_LINK_PAYLOAD)];

/* `stapes build` writes the size and CRC-32 of the constants here after linking; see
 * tools/stapes/firmware/checksum.py. */
typedef struct {
    int32_t offset; /* of the constants, from this structure */
    uint32_t size;  /* 0: not written */
    uint32_t crc;
} checksum_t;

__attribute__((section(".checksum"), used)) const checksum_t stapes_checksum = {0, 0, 0};

static uint8_t *put_text(uint8_t *end, const char *text) {
    size_t length = 0;
    while (length < TEXT_BYTES && text[length] != '\0') {
        length++;
    }
    *end = (uint8_t)length;
    memcpy(end + 1, text, length);
    return end + 1 + length;
}

static int answer_hello(uint8_t *answer) {
    const stapes_board_info_t *board = board_info();
    wire_hello_answer_t *hello = (wire_hello_answer_t *)answer;
    STAPES_PUT(hello->protocol, STAPES_PROTOCOL_VERSION);
    STAPES_PUT(hello->counter, board->counter);
    STAPES_PUT(hello->api_version, STAPES_API_VERSION);
    STAPES_PUT(hello->counter_numerator, board->counter_numerator);
    STAPES_PUT(hello->counter_denominator, board->counter_denominator);
    STAPES_PUT(hello->sample_rate, STAPES_APP_SAMPLE_RATE);
    STAPES_PUT(hello->max_payload, STAPES_LINK_PAYLOAD);
    STAPES_PUT(hello->layer_count, STAPES_APP_MODEL_LAYER_COUNT);
    STAPES_PUT(hello->class_count, STAPES_APP_CLASSES);
    STAPES_PUT(hello->window_frames, STAPES_APP_WINDOW_FRAMES);
    STAPES_PUT(hello->window_hop_frames, STAPES_APP_WINDOW_HOP_FRAMES);
    STAPES_PUT(hello->n_features, STAPES_APP_N_FEATURES);
    STAPES_PUT(hello->frame_length, STAPES_APP_FRAME_LENGTH);
    STAPES_PUT(hello->hop_length, STAPES_APP_HOP_LENGTH);
    memcpy(hello->bundle_hash, stapes_app.hash, sizeof hello->bundle_hash);
    memcpy(hello->frontend_hash, stapes_app.frontend_hash, sizeof hello->frontend_hash);
    uint8_t *end = hello->texts;
    end = put_text(end, board->name);
    end = put_text(end, STAPES_BUILD_ID);
    end = put_text(end, STAPES_VERSION);
    const size_t id_length = board_unique_id(end + 1, TEXT_BYTES);
    *end = (uint8_t)id_length;
    return (int)(end + 1 + id_length - answer);
}

static int answer_stats(uint8_t *answer) {
    wire_stats_answer_t *stats = (wire_stats_answer_t *)answer;
    STAPES_PUT(stats->stack_high_water, board_stack_high_water());
    STAPES_PUT(stats->frames_good, device.link.frames_good);
    STAPES_PUT(stats->frames_bad, device.link.frames_bad);
    STAPES_PUT(stats->replays, device.link.replays);
    return (int)sizeof *stats;
}

static int answer_self_test(uint8_t *answer) {
    const volatile checksum_t *checksum = &stapes_checksum; /* not what the compiler saw */
    const uint8_t *constants = (const uint8_t *)&stapes_checksum + checksum->offset;
    wire_self_test_answer_t *test = (wire_self_test_answer_t *)answer;
    STAPES_PUT(test->size, checksum->size);
    STAPES_PUT(test->expected, checksum->crc);
    STAPES_PUT(test->computed, stapes_crc32(0, constants, checksum->size));
    return (int)sizeof *test;
}

static int answer_reboot(void) {
    device.reboot = true;
    return 0;
}

static int answer_baud(const uint8_t *payload, size_t length) {
    const wire_baud_request_t *request = (const wire_baud_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    const uint32_t baud = stapes_get_u32(request->baud);
    if (baud < STAPES_BOOT_BAUD || baud > board_info()->max_baud) {
        return STAPES_E_ARGUMENT;
    }
    device.baud = baud;
    return 0;
}

/* Why the last restart came; or raises a fault on purpose, to prove that a rig would see one. */
static int answer_fault(const uint8_t *payload, size_t length, uint8_t *answer) {
    const wire_fault_request_t *request = (const wire_fault_request_t *)payload;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    if (request->action[0] >= STAPES_RAISES) {
        return STAPES_E_ARGUMENT;
    }
    device.raise = request->action[0];
    if (!device.restarted) {
        return 0;
    }
    wire_fault_answer_t *fault = (wire_fault_answer_t *)answer;
    STAPES_PUT(fault->cause, device.last_fault.cause);
    STAPES_PUT(fault->pc, device.last_fault.pc);
    STAPES_PUT(fault->lr, device.last_fault.lr);
    STAPES_PUT(fault->psr, device.last_fault.psr);
    STAPES_PUT(fault->sp, device.last_fault.sp);
    STAPES_PUT(fault->status, device.last_fault.status);
    STAPES_PUT(fault->address, device.last_fault.address);
    return (int)sizeof *fault;
}

/* A function of its own, so that the report names it. */
__attribute__((noinline)) static void raise_fault(void) {
    switch (device.raise) {
    case STAPES_RAISE_TRAP: __builtin_trap();
    case STAPES_RAISE_BUS_FAULT: (void)*(const volatile uint32_t *)(uintptr_t)NOWHERE; break;
    case STAPES_RAISE_HANG:
        board_watchdog_start(HANG_MS); /* the same dog, less patient where it can be told */
        for (;;) {
        }
    default: break;
    }
}

/* A capacity of STAPES_LINK_PAYLOAD holds every answer here: see the assertions above. */
static int answer(void *context, uint8_t type, const uint8_t *payload, size_t length, uint8_t *out,
                  size_t capacity) {
    switch (type) {
    case STAPES_MESSAGE_HELLO: return answer_hello(out);
    case STAPES_MESSAGE_BAUD: return answer_baud(payload, length);
    case STAPES_MESSAGE_FAULT: return answer_fault(payload, length, out);
    case STAPES_MESSAGE_STATS: return length != 0u ? STAPES_E_MESSAGE : answer_stats(out);
    case STAPES_MESSAGE_SELF_TEST: return length != 0u ? STAPES_E_MESSAGE : answer_self_test(out);
    case STAPES_MESSAGE_REBOOT: return length != 0u ? STAPES_E_MESSAGE : answer_reboot();
    default: return device.handler(context, type, payload, length, out, capacity);
    }
}

void device_start(stapes_link_handler_t handler) {
    device.handler = handler;
    device.restarted = board_fault(&device.last_fault) == 1;
    board_watchdog_start(WATCHDOG_MS);
    if (stapes_link_init(&device.link, request_buffer, answer_buffer, sizeof request_buffer, answer, NULL,
                         board_write) != STAPES_OK) {
        board_exit(1);
    }
}

/* A new speed at which nothing good is heard for a second is given up for the one at boot. */
static void change_speed(void) {
    if (device.baud != 0u) {
        board_set_baud(device.baud);
        device.baud = 0;
        device.trial = true;
        device.trial_ticks = board_ticks();
        device.trial_frames = device.link.frames_good;
    } else if (device.trial && device.link.frames_good != device.trial_frames) {
        device.trial = false;
    } else if (device.trial && board_ticks() - device.trial_ticks > board_info()->ticks_per_second) {
        device.trial = false;
        board_set_baud(STAPES_BOOT_BAUD);
    }
}

void device_receive(const uint8_t *bytes, size_t count) {
    stapes_link_receive(&device.link, bytes, count);
}

bool device_turn(void) {
    uint8_t bytes[64];
    const size_t count = board_read(bytes, sizeof bytes);
    device_receive(bytes, count);
    board_watchdog_feed();
    change_speed();
    if (device.reboot) {
        board_reset();
    }
    raise_fault();
    return count != 0u || device.trial;
}
