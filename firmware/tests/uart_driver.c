/* A main loop that is away for long: says how many bytes it found each time it looked. The byte 255 ends it.
 */
#include "board.h"
#include "print.h"

int main(void) {
    board_init();
    print("ready ", 0);
    board_write((const uint8_t *)"\n", 1);
    uint8_t expected = 0;
    for (;;) {
        for (volatile uint32_t away = 0; away < 2000000u; away++) {
        }
        uint8_t bytes[256];
        const size_t count = board_read(bytes, sizeof bytes);
        uint32_t wrong = 0;
        for (size_t i = 0; i < count; i++) {
            wrong += bytes[i] != expected++;
        }
        if (count > 0) {
            print("found ", (uint32_t)count);
            print(" wrong ", wrong);
            board_write((const uint8_t *)"\n", 1);
        }
        if (count > 0 && bytes[count - 1u] == 255u) {
            board_exit(0);
        }
    }
}
