#include "common/startup.h"

#include "board.h"

#define STACK_PAINT 0x5AA5C33Cu
/* Bytes below this function's frame that stay unpainted: nothing deeper runs while it paints. */
#define MARGIN 64u

extern uint32_t __stack_limit[], __stack_top[];
extern uint32_t __data_start[], __data_end[], __data_load[];
extern uint32_t __bss_start[], __bss_end[];

/* The loops must not become calls of memcpy or memset before RAM is ready. */
__attribute__((optimize("no-tree-loop-distribute-patterns"))) void startup_memory(void) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) - MARGIN;
    for (uint32_t *word = __stack_limit; (uintptr_t)word < here; word++) {
        *word = STACK_PAINT;
    }
    const uint32_t *load = __data_load;
    for (uint32_t *word = __data_start; word < __data_end; word++) {
        *word = *load++;
    }
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0u;
    }
}

uint32_t board_stack_high_water(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)__stack_top - (uintptr_t)word);
}
