/* Fails in every way, one after the other, and prints what the board reports after each restart: stage,
 * cause, pc, lr, sp, status, address. The stage outlives the restart. */
#include "board.h"
#include "print.h"

static struct { uint32_t known, stage; } here __attribute__((section(".noinit")));

#define KNOWN   0x57A6Eu
#define NOWHERE 0xD0000000u

int main(void);

static void (*volatile wild)(void) = (void (*)(void))(uintptr_t)0x1AAAAAA1u;

__attribute__((noinline)) static uint32_t overflow(volatile uint32_t *below) {
    volatile uint32_t frame[64];
    frame[0] = below[0] + 1u;
    return frame[0] == 0u ? 0u : overflow(frame) + frame[1];
}

/* Returns where the machine has nothing that would fail. */
__attribute__((noinline)) static void fail(uint32_t stage) {
    volatile uint32_t nothing[2] = {0, 0};
    switch (stage) {
    case 0: __builtin_trap(); break;
    case 1: (void)*(volatile uint32_t *)(uintptr_t)NOWHERE; break;
    case 2:
        board_watchdog_start(5);
        for (uint32_t spin = 0; spin < 5000000u; spin++) {
            (void)*(volatile uint32_t *)&here.stage;
        }
        break;
    case 3: wild(); break;
    case 4: (void)overflow(nothing); break;
    default: board_exit(0);
    }
}

int main(void) {
    board_init();
    board_fault_t fault;
    board_fault_t again;
    const int kept = board_fault(&fault);
    if (here.known != KNOWN) {
        here.known = KNOWN;
        here.stage = 0;
        print("fresh ", (uint32_t)kept);
    } else {
        print("stage ", here.stage);
        print(" kept ", (uint32_t)kept);
        print(" again ", (uint32_t)board_fault(&again));
        print(" cause ", fault.cause);
        print(" pc ", fault.pc);
        print(" lr ", fault.lr);
        print(" sp ", fault.sp);
        print(" status ", fault.status);
        print(" address ", fault.address);
        here.stage++;
    }
    board_write((const uint8_t *)"\n", 1);
    for (;;) {
        fail(here.stage);
        here.stage++;
    }
}
