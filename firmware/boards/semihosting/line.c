#include "semihosting/line.h"

#include "board.h"
#include "semihosting/semihosting.h"

static bool console;

bool line_use_console(void) {
    console = semihosting_console();
    return console;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    return console ? semihosting_read(bytes, capacity) : uart_read(bytes, capacity);
}

void board_write(const uint8_t *bytes, size_t count) {
    if (console) {
        semihosting_write(bytes, count);
    } else {
        uart_write(bytes, count);
    }
}
