/* Semihosting (Semihosting for AArch32 and AArch64, 2.0; RISC-V Semihosting 1.0): how an emulated board ends
 * the emulator and, where the emulator offers it, talks through a line that takes many bytes at a time. An
 * emulated UART takes one, and is slow. */
#ifndef STAPES_SEMIHOSTING_H
#define STAPES_SEMIHOSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEMIHOSTING_ARGUMENT 96u /* bytes of a value that is looked for */

/* True when the emulator's command line has `name` or `name=value`; copies the value, which may be empty, as
 * far as it fits. Harmless as the next function is. */
bool semihosting_argument(const char *name, char *value, size_t capacity);

/* True when the emulator's command line asks for the console (`arg=stapes-console`). Harmless where nobody
 * serves semihosting: the breakpoint's fault handler answers -1. Asks nothing while a debugger is attached:
 * it would stop. */
bool semihosting_console(void);

/* Waits for at least one byte. */
size_t semihosting_read(uint8_t *bytes, size_t capacity);
void semihosting_write(const uint8_t *bytes, size_t count);

/* A file of the computer's, to be read: its handle, or less than 0. */
int semihosting_open(const char *name);
bool semihosting_rewind(int file);
/* Returns how many bytes were read, 0 at the end. */
size_t semihosting_read_file(int file, void *bytes, size_t count);

/* Ends the emulator with this status; returns where nobody serves semihosting. */
void semihosting_exit(int status);

#endif
