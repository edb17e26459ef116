/* The line over the chip's own USB (OTG_FS: RM0090, 34; pins: table 9 of the STM32F407's data sheet) as a
 * CDC ACM port, in place of uart.c. TinyUSB's queues are the rings: a full one lets the host wait, so nothing
 * is lost. All of it but the interrupt runs in the main loop. */
#include "board.h"
#include "semihosting/line.h"
#include "stm32/stm32.h"
#include "tusb.h"

#define RCC_AHB2ENR REGISTER(RCC + 0x34u)
#define AHB2_OTGFS  (1u << 7)

#define GPIOA_OSPEEDR REGISTER(GPIO + 0x08u)
#define GPIOA_PUPDR   REGISTER(GPIO + 0x0Cu)
#define BOTH_PINS     (0xFu << 22) /* two bits each */

#define SLOWEST_HZ   20000000u /* of APB1 on the PLL; without it nothing makes 48 MHz */
#define WRITE_SHARE  4u        /* of a second that a host may leave everything unread */
#define PACKET       64u
#define UNIQUE_BYTES 12u
#define STRING       3u /* a descriptor's type */

enum { NOTIFY = 0x81, OUT = 0x02, IN = 0x82 };
enum { LANGUAGE, MAKER, PRODUCT, SERIAL, STRINGS };

static bool stalled; /* the host let a write's time go by */

#define LOW_HIGH(value)     (uint8_t)((value)&0xFFu), (uint8_t)((value) >> 8)
#define CONFIGURATION_BYTES 75u /* 9 of its own, then the association's 8 and all below */

/* A line is a descriptor. */
/* clang-format off */
/* USB 2.0, 9.6.1. pid.codes' id for tests among one's own: a product needs its own. */
static const uint8_t device[18] = {
    sizeof device, 1, LOW_HIGH(0x0200u), 0xEF, 2, 1, /* an association of interfaces follows */
    CFG_TUD_ENDPOINT0_SIZE, LOW_HIGH(0x1209u), LOW_HIGH(0x0001u), LOW_HIGH(0x0100u), MAKER, PRODUCT, SERIAL, 1,
};

/* USB 2.0, 9.6.3 to 9.6.6; interface association: its ECN; CDC 1.2, 5.2.3; PSTN 1.2, 5.3. */
static const uint8_t configuration[CONFIGURATION_BYTES] = {
    9, 2, LOW_HIGH(CONFIGURATION_BYTES), 2, 1, 0, 0x80, 50, /* two interfaces; the bus feeds it, 100 mA */
    8, 11, 0, 2, 2, 2, 0, 0,                                /* both are one CDC ACM port */
    9, 4, 0, 0, 1, 2, 2, 0, 0,                              /* control */
    5, 0x24, 0, LOW_HIGH(0x0120u),                          /* CDC 1.2 */
    5, 0x24, 1, 0, 1,                                       /* no calls */
    4, 0x24, 2, 6,                                          /* line coding and state; break */
    5, 0x24, 6, 0, 1,                                       /* the union of both */
    7, 5, NOTIFY, 3, LOW_HIGH(8u), 16,                      /* interrupt */
    9, 4, 1, 0, 2, 10, 0, 0, 0,                             /* data */
    7, 5, OUT, 2, LOW_HIGH(PACKET), 0,                      /* bulk */
    7, 5, IN, 2, LOW_HIGH(PACKET), 0,
};
/* clang-format on */

const uint8_t *tud_descriptor_device_cb(void) {
    return device;
}

const uint8_t *tud_descriptor_configuration_cb(uint8_t index) {
    (void)index;
    return configuration;
}

const uint16_t *tud_descriptor_string_cb(uint8_t index, uint16_t language) {
    static uint16_t text[1u + 2u * UNIQUE_BYTES];
    const size_t most = sizeof text / sizeof text[0] - 1u;
    size_t length = 0;
    (void)language;
    if (index >= STRINGS) {
        return NULL;
    }
    if (index == LANGUAGE) {
        text[1u + length++] = 0x0409u; /* English */
    } else if (index == SERIAL) {
        uint8_t id[UNIQUE_BYTES];
        const size_t bytes = board_unique_id(id, sizeof id);
        for (size_t i = 0; i < bytes; i++) {
            text[1u + length++] = (uint8_t) "0123456789ABCDEF"[id[i] >> 4];
            text[1u + length++] = (uint8_t) "0123456789ABCDEF"[id[i] & 15u];
        }
    } else {
        const char *name = index == MAKER ? "stapes" : STAPES_BOARD_NAME;
        while (length < most && name[length] != '\0') {
            text[1u + length] = (uint8_t)name[length];
            length++;
        }
    }
    text[0] = (uint16_t)(STRING << 8 | (2u + 2u * length));
    return text;
}

/* A program that closes the port leaves nothing to the next one. */
void tud_cdc_line_state_cb(uint8_t interface, bool dtr, bool rts) {
    (void)interface;
    (void)rts;
    if (!dtr) {
        (void)tud_cdc_write_clear();
    }
}

uint32_t stm32_uart_max_baud(uint32_t clock_hz) {
    (void)clock_hz;
    return 0u; /* USB has its own speed */
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

void stm32_start_uart(uint32_t clock_hz) {
    static const stm32_pin_t pins[] = {{'A', 11, 10}, {'A', 12, 10}};
    static const tusb_rhport_init_t start = {.role = TUSB_ROLE_DEVICE, .speed = TUSB_SPEED_FULL};
    if (clock_hz < SLOWEST_HZ) {
        return;
    }
    stm32_pin_uart(pins[0], true);
    stm32_pin_uart(pins[1], true);
    GPIOA_PUPDR &= ~BOTH_PINS; /* a UART's pull-up would disturb the bus */
    GPIOA_OSPEEDR |= BOTH_PINS;
    RCC_AHB2ENR |= AHB2_OTGFS;
    (void)RCC_AHB2ENR;           /* the clock takes two cycles to arrive */
    (void)tusb_init(0u, &start); /* fails where the core is not there: an emulator's console is the line */
}

void stm32_uart_interrupt(void) {} /* the UART stays off */

CORTEX_M_HANDLER(67) {
    tusb_int_handler(0u, true);
}

size_t uart_read(uint8_t *bytes, size_t capacity) {
    tud_task();
    return tud_cdc_read(bytes, (uint32_t)capacity);
}

/* Whoever does not read for a quarter of a second is waited for no more, until it takes something. */
void uart_write(const uint8_t *bytes, size_t count) {
    uint32_t begin = board_ticks();
    while (count > 0u) {
        tud_task();
        if (!tud_ready()) {
            return;
        }
        const uint32_t taken = tud_cdc_write(bytes, (uint32_t)count);
        (void)tud_cdc_write_flush();
        if (taken > 0u) {
            bytes += taken;
            count -= taken;
            stalled = false;
            begin = board_ticks();
        } else if (stalled || board_ticks() - begin > board_info()->ticks_per_second / WRITE_SHARE) {
            stalled = true;
            return;
        }
    }
}
