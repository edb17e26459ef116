#!/bin/sh
# QEMU's RISC-V counts nanoseconds in minstret, not instructions.
#
# Expected by most: minstret is the number of retired instructions (privileged specification); a loop of 3,000 of them
#   counts about 3,000, with or without -icount, which only ties the clock to the instructions.
# Happens: minstret is the virtual clock. With -icount shift=0, one nanosecond an instruction, it looks right; with
#   shift=3 the same loop "retires" eight times as many; without -icount it counts the host's time, another number each run.
set -eu
for program in riscv64-unknown-elf-gcc qemu-system-riscv32; do
    command -v $program >/dev/null || { echo "$program is missing: gcc-riscv64-unknown-elf, qemu-system-misc" >&2; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
cat >"$place/see.c" <<'END'
void start(void) __attribute__((section(".text.start"), naked));

void start(void) {
    __asm volatile("li sp, 0x80010000\n\tcall see");
}

static unsigned long retired(void) {
    unsigned long count;
    __asm volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

__attribute__((used)) void see(void) {
    const unsigned long before = retired();
    for (int i = 0; i < 1000; i++) {
        __asm volatile("nop"); /* and two for the loop */
    }
    const unsigned long count = retired() - before;
    for (int i = 28; i >= 0; i -= 4) {
        *(volatile char *)0x10000000 = "0123456789abcdef"[count >> i & 15];
    }
    *(volatile char *)0x10000000 = '\n';
    *(volatile unsigned *)0x100000 = 0x5555; /* ends the emulator */
    for (;;) {
    }
}
END
riscv64-unknown-elf-gcc -march=rv32imc_zicsr -mabi=ilp32 -O1 -nostdlib -Wl,-e,start -Wl,-Ttext=0x80000000 \
    "$place/see.c" -o "$place/see.elf"
qemu-system-riscv32 --version | head -n 1
riscv64-unknown-elf-gcc --version | head -n 1
count() {
    printf '%d' "0x$(timeout 20 qemu-system-riscv32 -machine virt -bios none -nographic -monitor none "$@" \
        -kernel "$place/see.elf" | tr -d '\r\n')"
}
exact=$(count -icount shift=0)
eightfold=$(count -icount shift=3)
free=$(count)
echo "about 3,000 instructions, minstret says: $exact with -icount shift=0, $eightfold with shift=3, $free without"
[ "$exact" -ge 3000 ] && [ "$exact" -le 3010 ] && [ "$eightfold" -eq $((8 * exact)) ] && [ "$free" -ne "$exact" ] || {
    echo "that has changed" >&2
    exit 1
}
