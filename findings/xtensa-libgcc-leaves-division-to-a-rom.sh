#!/bin/sh
# Debian's compiler for Xtensa LX106 cannot divide two integers: its libgcc leaves that to the ROM of an ESP8266.
#
# Expected by most: libgcc holds whatever arithmetic the core has no instruction for, so that freestanding C links with
#   the compiler alone, as it does for the same file with arm-none-eabi-gcc and riscv64-unknown-elf-gcc.
# Happens: gcc-xtensa-lx106's libgcc.a has shifts, remainder of signed numbers and floating point, but no __udivsi3,
#   __divsi3, __umodsi3, __muldi3, __umulsidi3, __udivdi3 nor __divdi3. An ESP8266 has these in its mask ROM, and its
#   SDK gives their addresses to the linker. With any other machine (QEMU's simulator) one has to write them oneself;
#   picolibc-xtensa-lx106-elf does not bring them either.
set -eu
for program in xtensa-lx106-elf-gcc xtensa-lx106-elf-nm arm-none-eabi-gcc; do
    command -v $program >/dev/null || { echo "$program is missing: gcc-xtensa-lx106, gcc-arm-none-eabi" >&2; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
cat >"$place/divide.c" <<'END'
#include <stdint.h>
volatile uint32_t a = 7, b = 2;
volatile uint64_t c = 7;
void _start(void) {
    a = a / b + a % b;
    c = c * c + c / a;
    for (;;) {
    }
}
END
xtensa-lx106-elf-gcc --version | head -1
arm-none-eabi-gcc --version | head -1
arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -O2 -nostartfiles -nodefaultlibs "$place/divide.c" -lgcc -o "$place/arm.elf" 2>"$place/arm" &&
    echo "seen: Cortex-M0, which has no instruction for division either: links"
if xtensa-lx106-elf-gcc -O2 -nostartfiles -nodefaultlibs "$place/divide.c" -lgcc -o "$place/x.elf" 2>"$place/log"; then
    echo "that has changed" >&2
    exit 1
fi
missing=$(grep -o 'undefined reference to .*' "$place/log" | tr -d "\`'" | awk '{print $4}' | sort -u | tr '\n' ' ')
echo "seen: LX106: undefined: $missing"
for name in __udivsi3 __umodsi3 __muldi3 __udivdi3; do
    case " $missing " in *" $name "*) ;; *) echo "$name is there: that has changed" >&2; exit 1 ;; esac
done
test -f "$place/arm.elf" || { echo "the Cortex-M0 does not link: that has changed" >&2; exit 1; }
