/* ESP32-C3 without a bootloader: the ROM has loaded this image into SRAM and jumps to its entry. */
#include "esp32c3.h"

#include "common/fault.h"

#define WATCHDOG_KEY 0x50D83AA1u
#define SUPER_KEY    0x8F1D312Au

#define RTC_WDT_CONFIG   REGISTER(RTC + 0x90u)
#define RTC_WDT_TICKS    REGISTER(RTC + 0x94u)
#define RTC_WDT_FEED     REGISTER(RTC + 0xA4u)
#define RTC_WDT_LOCK     REGISTER(RTC + 0xA8u)
#define RTC_SUPER_CONFIG REGISTER(RTC + 0xACu)
#define RTC_SUPER_LOCK   REGISTER(RTC + 0xB0u)
#define WDT_ENABLE       (1u << 31)
#define WDT_RESET_SYSTEM (3u << 28) /* the first stage's action; the reset signals are at their longest */
#define WDT_RESET_LENGTH ((7u << 16) | (7u << 13))
#define WDT_FEED         (1u << 31)
#define SUPER_FEEDS      (1u << 31) /* feeds itself */
#define SLOW_CLOCK_KHZ   136u       /* an RC oscillator */

#define TIMER_WDT_CONFIG(group) REGISTER(0x6001F048u + 0x1000u * (group))
#define TIMER_WDT_LOCK(group)   REGISTER(0x6001F064u + 0x1000u * (group))
#define TIMER_WDT_UPDATE        (1u << 22)

#define EFUSE_WDT_SHIFT                                                                                      \
    REGISTER(0x60008834u) /* bits 17 and 16: the first stage counts in units of 2 << them */
#define EFUSE_MAC_LOW  REGISTER(0x60008844u)
#define EFUSE_MAC_HIGH REGISTER(0x60008848u)
#define MAC_BYTES      6u

#define LED_GPIO        8u
#define GPIO_SET        REGISTER(0x60004008u)
#define GPIO_CLEAR      REGISTER(0x6000400Cu)
#define GPIO_ENABLE_SET REGISTER(0x60004024u)
#define GPIO_LED_OUTPUT REGISTER(0x60004554u + 4u * LED_GPIO)
#define GPIO_LED_PIN    REGISTER(0x60009004u + 4u * LED_GPIO)
#define OUTPUT_BY_GPIO  128u
#define PIN_GPIO        0x1800u
#define LED_WHITE       0x101010u
#define LED_BIT_NS      1250u
#define LED_ZERO_NS     400u
#define LED_ONE_NS      800u

#define FASTEST_BAUD 2000000u /* twenty of the crystal's periods a bit */

void stapes_entry(void);
void esp32c3_vectors(void);
void esp32c3_uart_interrupt(void);

static stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_CYCLES, 1u, 1u, 0u, FASTEST_BAUD};

/* The table comes first: mtvec holds its upper 24 bits. Exceptions go to its start, interrupt n to word n. */
__attribute__((naked, aligned(256), section(".vectors"), used)) void esp32c3_vectors(void) {
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   "j riscv_trap\n"
                   "j esp32c3_uart_interrupt\n"
                   ".rept 30\n"
                   "j riscv_trap\n"
                   ".endr\n"
                   ".option pop\n");
}

__attribute__((naked, section(".vectors"), used)) void stapes_entry(void) {
    __asm volatile(CONTROL_REGISTERS "csrci mstatus, 8\n" /* the ROM's interrupts */
                                     "la sp, __stack_top\n"
                                     "la t0, esp32c3_vectors + 1\n"
                                     "csrw mtvec, t0\n"
                                     "j riscv_start\n");
}

__attribute__((interrupt("machine"), used)) void esp32c3_uart_interrupt(void) {
    esp32c3_line_interrupt();
}

static void configure_watchdog(uint32_t config) {
    RTC_WDT_LOCK = WATCHDOG_KEY;
    RTC_WDT_FEED = WDT_FEED;
    RTC_WDT_CONFIG = config;
    RTC_WDT_LOCK = 0u;
}

/* Those that the ROM started. The super watchdog cannot be stopped, it can feed itself. */
void esp32c3_stop_watchdogs(void) {
    for (uint32_t group = 0; group < 2u; group++) {
        TIMER_WDT_LOCK(group) = WATCHDOG_KEY;
        TIMER_WDT_CONFIG(group) = TIMER_WDT_UPDATE;
        TIMER_WDT_LOCK(group) = 0u;
    }
    RTC_SUPER_LOCK = SUPER_KEY;
    RTC_SUPER_CONFIG |= SUPER_FEEDS;
    RTC_SUPER_LOCK = 0u;
    configure_watchdog(0u);
}

void board_watchdog_start(uint32_t timeout_ms) {
    uint32_t unit = 1u + (EFUSE_WDT_SHIFT >> 16 & 3u);
    uint32_t ms = timeout_ms < UINT32_MAX / SLOW_CLOCK_KHZ ? timeout_ms : UINT32_MAX / SLOW_CLOCK_KHZ;
    RTC_WDT_LOCK = WATCHDOG_KEY;
    RTC_WDT_TICKS = ms * SLOW_CLOCK_KHZ >> unit;
    configure_watchdog(WDT_ENABLE | WDT_RESET_SYSTEM | WDT_RESET_LENGTH);
}

void board_watchdog_feed(void) {
    RTC_WDT_LOCK = WATCHDOG_KEY;
    RTC_WDT_FEED = WDT_FEED;
    RTC_WDT_LOCK = 0u;
}

void board_init(void) {
    uint32_t reset = RTC_RESET_STATE & RESET_CAUSE;
    info.ticks_per_second = esp32c3_start_clock();
    esp32c3_stop_watchdogs();
    if (reset == RESET_BY_RTC_WDT && !esp32c3_pll_failed()) {
        fault_keep_watchdog();
    }
    esp32c3_start_cycles();
    esp32c3_start_line();
    GPIO_LED_PIN = PIN_GPIO;
    GPIO_LED_OUTPUT = OUTPUT_BY_GPIO;
    GPIO_ENABLE_SET = 1u << LED_GPIO;
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

uint32_t board_ticks(void) {
    return esp32c3_cycles();
}

static void hold(uint32_t since, uint32_t ns) {
    uint32_t cycles = info.ticks_per_second / 1000000u * ns / 1000u;
    while (esp32c3_cycles() - since < cycles) {
    }
}

/* The DevKits' LED is a WS2812 (data sheet 1.1): 24 bits, green first, each a long or a short pulse. */
void board_led(int on) {
    uint32_t colour = on ? LED_WHITE : 0u;
    __asm volatile(CONTROL_REGISTERS "csrci mstatus, 8" ::: "memory");
    for (uint32_t bit = 1u << 23; bit != 0u; bit >>= 1) {
        uint32_t start = esp32c3_cycles();
        GPIO_SET = 1u << LED_GPIO;
        hold(start, (colour & bit) != 0u ? LED_ONE_NS : LED_ZERO_NS);
        GPIO_CLEAR = 1u << LED_GPIO;
        hold(start, LED_BIT_NS);
    }
    __asm volatile(CONTROL_REGISTERS "csrsi mstatus, 8" ::: "memory");
}

/* The factory's MAC address. */
size_t board_unique_id(uint8_t *id, size_t capacity) {
    if (capacity < MAC_BYTES) {
        return 0;
    }
    uint64_t mac = (uint64_t)(EFUSE_MAC_HIGH & 0xFFFFu) << 32 | EFUSE_MAC_LOW;
    for (uint32_t i = 0; i < MAC_BYTES; i++) {
        id[i] = (uint8_t)(mac >> (8u * (MAC_BYTES - 1u - i)));
    }
    return MAC_BYTES;
}

/* Resets all but the RTC; the ROM then loads the image again. */
void board_reset(void) {
    for (;;) {
        RTC_OPTIONS |= OPTIONS_RESET;
    }
}

void board_exit(int status) {
    (void)status;
    board_reset();
}
