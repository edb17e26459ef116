/* Words and numbers on the board's line. */
#ifndef STAPES_PRINT_H
#define STAPES_PRINT_H

#include "board.h"

/* `label` and `value` in decimal. */
static inline void print(const char *label, uint32_t value) {
    uint8_t digits[10];
    size_t count = 0;
    size_t length = 0;
    while (label[length] != '\0') {
        length++;
    }
    board_write((const uint8_t *)label, length);
    do {
        digits[9u - count++] = (uint8_t)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    board_write(digits + 10u - count, count);
}

#endif
