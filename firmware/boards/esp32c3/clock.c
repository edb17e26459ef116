/* The clock: 40 MHz crystal, PLL at 480 MHz, core at 160 MHz (TRM 6.2; the PLL's set-up as ESP-IDF does it).
 * The chip offers no sign that the PLL runs: the core would stand still. So the watchdog waits with it, and a
 * start that ended that way is followed by one at the crystal's speed. */
#include "esp32c3.h"

#define SYSTEM             0x600C0000u
#define SYSTEM_CPU_CLOCK   REGISTER(SYSTEM + 0x08u)
#define SYSTEM_CLOCK       REGISTER(SYSTEM + 0x58u)
#define CPU_160_MHZ        1u
#define CPU_PERIOD         3u
#define CPU_PLL_480_MHZ    (1u << 2)
#define CLOCK_SOURCE       (3u << 10)
#define CLOCK_SOURCE_PLL   (1u << 10)
#define CLOCK_DIVIDER      0x3FFu
#define OPTIONS_PLL_OFF    ((1u << 6) | (1u << 8) | (1u << 10))
#define ANALOG_CALIBRATION REGISTER(0x6000E040u)
#define CALIBRATION_STOP   (1u << 2)
#define CALIBRATION_START  (1u << 3)
#define ANALOG_BUSES       REGISTER(0x6000E044u)
#define ANALOG_ALL_OFF     (0x3FFu << 8)
#define ANALOG_PLL_OFF     (1u << 17)
#define PLL                0x66u
#define PLL_REFERENCE      2u
#define PLL_DIVIDER        3u
#define PLL_MODE           4u
#define PLL_DRIVE          5u
#define PLL_CURRENT        6u
#define PLL_BIAS           9u
#define SWITCH_MS          200u
#define TRYING             0x9117A77Eu
#define CPU_160_HZ         160000000u

/* Functions of the ROM: write one register of an analogue block, and some of its bits. */
typedef void (*rom_write_t)(uint8_t block, uint8_t host, uint8_t at, uint8_t data);
typedef void (*rom_write_bits_t)(uint8_t block, uint8_t host, uint8_t at, uint8_t msb, uint8_t lsb,
                                 uint8_t data);
#define ROM_WRITE      ((rom_write_t)0x4000195Cu)
#define ROM_WRITE_BITS ((rom_write_bits_t)0x40001960u)

static uint32_t trying __attribute__((section(".noinit")));
static bool failed;

/* For the 40 MHz crystal. */
static void start_pll(void) {
    RTC_OPTIONS &= ~OPTIONS_PLL_OFF;
    ANALOG_BUSES = (ANALOG_BUSES | ANALOG_ALL_OFF) & ~ANALOG_PLL_OFF;
    SYSTEM_CPU_CLOCK |= CPU_PLL_480_MHZ;
    ANALOG_CALIBRATION &= ~CALIBRATION_STOP;
    ANALOG_CALIBRATION |= CALIBRATION_START;
    ROM_WRITE(PLL, 0, PLL_MODE, 0x6Bu);
    ROM_WRITE(PLL, 0, PLL_REFERENCE, 0x50u);
    ROM_WRITE(PLL, 0, PLL_DIVIDER, 8u);
    ROM_WRITE_BITS(PLL, 0, PLL_DRIVE, 2, 0, 0);
    ROM_WRITE_BITS(PLL, 0, PLL_DRIVE, 6, 4, 0);
    ROM_WRITE(PLL, 0, PLL_CURRENT, 0x93u);
    ROM_WRITE_BITS(PLL, 0, PLL_BIAS, 1, 0, 2);
    ROM_WRITE_BITS(PLL, 0, PLL_CURRENT, 5, 4, 2);
    ROM_WRITE_BITS(PLL, 0, PLL_CURRENT, 7, 6, 1);
}

uint32_t esp32c3_start_clock(void) {
    failed = trying == TRYING && (RTC_RESET_STATE & RESET_CAUSE) == RESET_BY_RTC_WDT;
    trying = 0u;
    if (failed) {
        SYSTEM_CLOCK &= ~(CLOCK_SOURCE | CLOCK_DIVIDER);
        return ESP32C3_CRYSTAL_HZ;
    }
    trying = TRYING;
    board_watchdog_start(SWITCH_MS);
    if ((SYSTEM_CLOCK & CLOCK_SOURCE) != CLOCK_SOURCE_PLL) {
        start_pll();
    }
    SYSTEM_CPU_CLOCK = (SYSTEM_CPU_CLOCK & ~CPU_PERIOD) | CPU_160_MHZ;
    SYSTEM_CLOCK &= ~CLOCK_DIVIDER;
    SYSTEM_CLOCK = (SYSTEM_CLOCK & ~CLOCK_SOURCE) | CLOCK_SOURCE_PLL;
    trying = 0u;
    return CPU_160_HZ;
}

bool esp32c3_pll_failed(void) {
    return failed;
}

/* The performance counter's control registers (TRM 1.5.1): event 0 is a cycle of the core. */
void esp32c3_start_cycles(void) {
    __asm volatile(CONTROL_REGISTERS "csrw 0x7e0, %0\n"
                                     "csrw 0x7e1, %0\n"
                                     "csrw 0x7e2, x0\n"
                   :
                   : "r"(1u));
}

uint32_t esp32c3_cycles(void) {
    uint32_t count;
    __asm volatile(CONTROL_REGISTERS "csrr %0, 0x7e2" : "=r"(count));
    return count;
}
