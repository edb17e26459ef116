/* What a board folder must provide, and nothing else. See docs/adding-a-board.md. */
#ifndef STAPES_BOARD_H
#define STAPES_BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "messages.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STAPES_BOOT_BAUD 115200u

typedef struct {
    const char *name;           /* the folder's name */
    stapes_counter_t counter;   /* what board_ticks() counts; known after board_init() */
    uint32_t counter_numerator; /* counts = ticks * numerator / denominator, in the unit above */
    uint32_t counter_denominator;
    uint32_t ticks_per_second; /* 0 where nothing counts */
    uint32_t max_baud; /* fastest line speed, 0 where it cannot change; the boot speed is STAPES_BOOT_BAUD */
} stapes_board_info_t;

void board_init(void);
/* Returns what the board is; never NULL. */
const stapes_board_info_t *board_info(void);
/* Takes up to `capacity` received bytes; returns how many (0: none waiting). Never blocks for long. */
size_t board_read(uint8_t *bytes, size_t capacity);
/* Sends all bytes; blocks, with a bound. */
void board_write(const uint8_t *bytes, size_t count);
/* Changes the line's speed after the last byte was sent. Does nothing where max_baud is 0. */
void board_set_baud(uint32_t baud);
/* Returns a free-running count of ticks, which wraps at 2^32. */
uint32_t board_ticks(void);
/* Returns the bytes of stack used at most since start (painted at start-up); 0 where it cannot be known. */
uint32_t board_stack_high_water(void);
/* Restarts the firmware; does not return. */
void board_reset(void);

/* What follows a board may leave out: common/defaults.c then answers "there is none". */
void board_led(int on);
/* Writes the chip's unique id; returns its length, 0 where there is none or it does not fit. */
size_t board_unique_id(uint8_t *id, size_t capacity);
/* Restarts the firmware unless it is fed again and again within the time. Cannot be stopped; started again it
 * takes the new time. The fault that it leaves behind has the cause STAPES_FAULT_WATCHDOG. */
void board_watchdog_start(uint32_t timeout_ms);
void board_watchdog_feed(void);
/* Waits for the next interrupt; returns at once where there is none to wait for. */
void board_sleep(void);

/* Registers at the fault. `status` is CFSR on Arm, mcause on RISC-V, EXCCAUSE on Xtensa; `address` the
 * faulting data address where the core knows one (MMFAR, BFAR, mtval, EXCVADDR), else 0. All but `cause` are
 * 0 after a watchdog's reset. */
typedef struct {
    uint32_t cause, pc, lr, psr, sp, status, address;
} board_fault_t;

/* Returns 1: the last reset followed this fault; 0: it did not, or it was asked for already. The report is
 * kept in RAM that start-up leaves alone. */
int board_fault(board_fault_t *fault);

/* Ends the program on the host and under an emulator; resets a real board. Does not return. */
void board_exit(int status);

#ifdef __cplusplus
}
#endif

#endif
