/* What a board without the hardware answers; a board that has it defines the function again. */
#include "board.h"

#define ABSENT __attribute__((weak))

ABSENT void board_led(int on) {
    (void)on;
}

ABSENT size_t board_unique_id(uint8_t *id, size_t capacity) {
    (void)id;
    (void)capacity;
    return 0;
}

ABSENT void board_watchdog_start(uint32_t timeout_ms) {
    (void)timeout_ms;
}

ABSENT void board_watchdog_feed(void) {}

ABSENT void board_sleep(void) {}

ABSENT int board_fault(board_fault_t *fault) {
    (void)fault;
    return 0;
}
