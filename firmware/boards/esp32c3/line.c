/* The line: UART0 on GPIO20 and GPIO21 (the USB bridge of the DevKits), and the chip's own USB serial device
 * (GPIO18 and GPIO19; TRM 26 UART, 30 USB serial/JTAG). Answers go where the last byte came from. */
#include "common/byte_ring.h"
#include "esp32c3.h"

#define UART            0x60000000u
#define UART_FIFO       REGISTER(UART + 0x00u)
#define UART_INT_ENABLE REGISTER(UART + 0x0Cu)
#define UART_INT_CLEAR  REGISTER(UART + 0x10u)
#define UART_DIVIDER    REGISTER(UART + 0x14u)
#define UART_STATUS     REGISTER(UART + 0x1Cu)
#define UART_CONF0      REGISTER(UART + 0x20u)
#define UART_CONF1      REGISTER(UART + 0x24u)
#define UART_STATE      REGISTER(UART + 0x6Cu)
#define UART_CLOCK      REGISTER(UART + 0x78u)
#define INT_RX_FULL     1u
#define INT_RX_TIMEOUT  (1u << 8)
#define STATUS_RX_COUNT 0x3FFu
#define STATUS_TX_COUNT (0x3FFu << 16)
#define TX_FIFO_BYTES   (128u << 16)
#define STATE_TX        0xF0u
#define CONF0_8N1       ((1u << 28) | (1u << 4) | (3u << 2))   /* and the FIFO's clock */
#define CONF1_RX_AT_64  ((1u << 21) | (96u << 9) | 64u)        /* or when the line is silent */
#define CLOCK_CRYSTAL   ((3u << 24) | (1u << 22) | (3u << 20)) /* all enabled, undivided */
#define CLOCK_RESET     (1u << 23)

#define SYSTEM_ENABLE REGISTER(0x600C0010u)
#define SYSTEM_RESET  REGISTER(0x600C0018u)
#define SYSTEM_UART   (1u << 2)
#define SYSTEM_MEMORY (1u << 24)

#define PIN_RX       REGISTER(0x60009054u)
#define PIN_TX       REGISTER(0x60009058u)
#define PIN_INPUT_PU 0x300u
#define PIN_OUTPUT   0x800u

#define INTERRUPTS         0x600C2000u
#define INTERRUPT_UART     REGISTER(INTERRUPTS + 0x54u)
#define INTERRUPT_ENABLE   REGISTER(INTERRUPTS + 0x104u)
#define INTERRUPT_EDGE     REGISTER(INTERRUPTS + 0x108u)
#define INTERRUPT_PRIORITY REGISTER(INTERRUPTS + 0x118u) /* of number 1 */
#define INTERRUPT_LEAST    REGISTER(INTERRUPTS + 0x194u)
#define UART_NUMBER        1u

#define USB_FIFO     REGISTER(0x60043000u)
#define USB_CONF     REGISTER(0x60043004u)
#define USB_FLUSH    1u
#define USB_TX_ROOM  2u
#define USB_RX_READY 4u

#define WRITE_SPINS 1000000u

static byte_ring_t ring;
static bool usb; /* the last byte came through USB */

/* A full ring leaves the bytes to the FIFO, and the interrupt off until there is room. */
void esp32c3_line_interrupt(void) {
    while ((UART_STATUS & STATUS_RX_COUNT) != 0u) {
        if (byte_ring_full(&ring)) {
            UART_INT_ENABLE = 0u;
            return;
        }
        byte_ring_put(&ring, (uint8_t)UART_FIFO);
    }
    UART_INT_CLEAR = INT_RX_FULL | INT_RX_TIMEOUT;
}

void esp32c3_start_line(void) {
    SYSTEM_ENABLE |= SYSTEM_UART | SYSTEM_MEMORY;
    SYSTEM_RESET &= ~(SYSTEM_UART | SYSTEM_MEMORY);
    /* Its core is held in reset meanwhile, or it sends rubbish. */
    UART_CLOCK = CLOCK_CRYSTAL | CLOCK_RESET;
    SYSTEM_RESET |= SYSTEM_UART;
    SYSTEM_RESET &= ~SYSTEM_UART;
    UART_CLOCK = CLOCK_CRYSTAL;
    UART_CONF0 = CONF0_8N1;
    UART_CONF1 = CONF1_RX_AT_64;
    board_set_baud(STAPES_BOOT_BAUD);
    PIN_RX = PIN_INPUT_PU;
    PIN_TX = PIN_OUTPUT;

    INTERRUPT_ENABLE = 0u;
    INTERRUPT_UART = UART_NUMBER;
    INTERRUPT_EDGE = 0u;
    INTERRUPT_PRIORITY = 1u;
    INTERRUPT_LEAST = 1u;
    UART_INT_CLEAR = ~0u;
    UART_INT_ENABLE = INT_RX_FULL | INT_RX_TIMEOUT;
    INTERRUPT_ENABLE = 1u << UART_NUMBER;
    __asm volatile(CONTROL_REGISTERS "csrsi mstatus, 8");
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    size_t count = byte_ring_take(&ring, bytes, capacity);
    /* The interrupt waits for 64 bytes or a silence; what is there already is taken at once. */
    __asm volatile(CONTROL_REGISTERS "csrci mstatus, 8" ::: "memory");
    UART_INT_ENABLE = INT_RX_FULL | INT_RX_TIMEOUT;
    esp32c3_line_interrupt();
    __asm volatile(CONTROL_REGISTERS "csrsi mstatus, 8" ::: "memory");
    count += byte_ring_take(&ring, bytes + count, capacity - count);
    if (count > 0u) {
        usb = false;
    }
    while (count < capacity && (USB_CONF & USB_RX_READY) != 0u) {
        bytes[count++] = (uint8_t)USB_FIFO;
        usb = true;
    }
    return count;
}

static void write_usb(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t spin = 0;
        while ((USB_CONF & USB_TX_ROOM) == 0u && ++spin < WRITE_SPINS) {
        }
        if (spin >= WRITE_SPINS) {
            return; /* nobody takes it */
        }
        USB_FIFO = bytes[i];
    }
    USB_CONF = USB_FLUSH;
}

void board_write(const uint8_t *bytes, size_t count) {
    if (usb) {
        write_usb(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t spin = 0; (UART_STATUS & STATUS_TX_COUNT) >= TX_FIFO_BYTES && spin < WRITE_SPINS;
             spin++) {
        }
        UART_FIFO = bytes[i];
    }
}

/* The divider has four bits after the point. */
void board_set_baud(uint32_t baud) {
    for (uint32_t spin = 0;
         ((UART_STATUS & STATUS_TX_COUNT) != 0u || (UART_STATE & STATE_TX) != 0u) && spin < WRITE_SPINS;
         spin++) {
    }
    uint32_t sixteenths = (ESP32C3_CRYSTAL_HZ * 16u + baud / 2u) / baud;
    UART_DIVIDER = (sixteenths / 16u) | (sixteenths % 16u) << 20;
}

/* Only the UART has an interrupt. */
void board_sleep(void) {
    if (!usb) {
        __asm volatile("wfi");
    }
}
