/* The board's line where emulators run it: its UART, or semihosting where the emulator offers that. It
 * answers board_read() and board_write(). */
#ifndef STAPES_LINE_H
#define STAPES_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asks the emulator; true when semihosting is the line from now on. Not on silicon: see semihosting.h. */
bool line_use_console(void);

/* The UART, from the board: as board_read() and board_write(). */
size_t uart_read(uint8_t *bytes, size_t capacity);
void uart_write(const uint8_t *bytes, size_t count);

#endif
