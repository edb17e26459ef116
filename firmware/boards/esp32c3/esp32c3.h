/* The parts of the ESP32-C3's board. Registers: ESP32-C3 Technical Reference Manual 1.3; what it leaves out
   (the PLL's analogue registers, the ROM's functions) from the headers of ESP-IDF 5. */
#ifndef STAPES_ESP32C3_H
#define STAPES_ESP32C3_H

#include <stdbool.h>
#include <stdint.h>

#include "riscv/riscv.h"

#define ESP32C3_CRYSTAL_HZ 40000000u

/* RTC control (TRM 12, low-power management, and 15, watchdog timers). */
#define RTC              0x60008000u
#define RTC_OPTIONS      REGISTER(RTC + 0x00u)
#define RTC_RESET_STATE  REGISTER(RTC + 0x38u)
#define OPTIONS_RESET    (1u << 31)
#define RESET_CAUSE      0x3Fu
#define RESET_BY_RTC_WDT 0x09u

/* The clock at full speed, 160 MHz; 40 MHz when the PLL did not run at the last start. Returns the core's
 * clock in Hz. */
uint32_t esp32c3_start_clock(void);

/* True when the start before this one ended because the PLL did not run. */
bool esp32c3_pll_failed(void);

/* Switches on the core's cycle counter. */
void esp32c3_start_cycles(void);
uint32_t esp32c3_cycles(void);

void esp32c3_stop_watchdogs(void);

void esp32c3_start_line(void);
/* Empties the UART's receiver; called by its interrupt. */
void esp32c3_line_interrupt(void);

#endif
