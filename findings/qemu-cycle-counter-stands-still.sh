#!/bin/sh
# QEMU's Cortex-M4 says that it has a cycle counter; the counter never moves.
#
# Expected by most: DWT_CTRL.NOCYCCNT tells whether there is a CYCCNT. Firmware that measures itself tests that bit,
#   enables the counter and, where it is there, reads it; on an emulator one expects a count (of something) or the bit.
# Happens: the bit says present, enabling is accepted without a word, and CYCCNT stays 0: everything takes 0 cycles, and
#   a wait for a number of cycles never ends. What is enabled does not read back either, which is the way to notice.
set -eu
for program in arm-none-eabi-gcc qemu-system-arm; do
    command -v $program >/dev/null || { echo "$program is missing: gcc-arm-none-eabi, qemu-system-arm" >&2; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
cat >"$place/see.c" <<'END'
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CYCCNT REGISTER(0xE0001004u)

void reset(void);
__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x20004000, (void *)reset};

static void host(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void say(const char *name, uint32_t value) {
    char text[] = "00000000\n";
    for (uint32_t i = 0; i < 8u; i++) {
        text[i] = "0123456789abcdef"[value >> (28u - 4u * i) & 15u];
    }
    host(4u, name);
    host(4u, text);
}

void reset(void) {
    say("NOCYCCNT ", DWT_CTRL >> 25 & 1u);
    DEMCR |= 1u << 24;
    DWT_CTRL |= 1u;
    say("enabled ", DWT_CTRL & 1u);
    const uint32_t before = DWT_CYCCNT;
    for (volatile uint32_t i = 0; i < 1000u; i++) {
    }
    say("elapsed ", DWT_CYCCNT - before);
    host(0x18u, (const void *)0x20026);
    for (;;) {
    }
}
END
arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -O1 -nostdlib -Wl,-e,reset -Wl,--section-start=.vectors=0 -Wl,-Ttext=0x100 \
    "$place/see.c" -o "$place/see.elf"
qemu-system-arm --version | head -n 1
arm-none-eabi-gcc --version | head -n 1
for machine in mps2-an386 netduinoplus2; do
    seen=$(timeout 20 qemu-system-arm -machine $machine -nographic -monitor none -serial none -semihosting \
        -kernel "$place/see.elf" 2>&1 | tr '\n' ' ')
    echo "$machine: $seen"
    [ "$seen" = "NOCYCCNT 00000000 enabled 00000000 elapsed 00000000 " ] || { echo "that has changed" >&2; exit 1; }
done
