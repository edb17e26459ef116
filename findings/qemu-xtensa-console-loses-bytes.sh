#!/bin/sh
# QEMU's Xtensa simulator loses bytes on the way in: a program that polls SIMCALL's standard input gets others.
#
# Expected by most: with `-machine sim -serial chardev:X` a program that reads standard input by SIMCALL gets the bytes that
#   went into X, in their order, however fast they come; the device says how many it can take (16).
# Happens: QEMU's main loop appends to the buffer of 16 bytes while the core's thread takes bytes out of it, and nothing
#   keeps them apart (target/xtensa/xtensa-semi.c). Where reads leave bytes behind, now and then some are lost, doubled or
#   replaced by older ones. With no serial port at all SIMCALL reads QEMU's own standard input: nothing is lost.
set -eu
for program in xtensa-lx106-elf-gcc qemu-system-xtensa python3; do
    command -v $program >/dev/null || { echo "$program is missing: gcc-xtensa-lx106, qemu-system-misc" >&2; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT INT TERM
cat >"$place/echo.c" <<'END_C'
__asm(".section .vectors, \"ax\"\n"
      ".global _start\n"
      "_start: j 1f\n"
      ".align 4\n"
      ".literal_position\n"
      "1: movi a1, 0x60008000\n"
      "   j echo\n"
      ".text\n");

static int simcall(int number, int descriptor, void *bytes, int count) {
    register int a2 __asm("a2") = number;
    register int a3 __asm("a3") = descriptor;
    register void *a4 __asm("a4") = bytes;
    register int a5 __asm("a5") = count;
    __asm volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

/* Answers each message of 100 bytes as soon as it is whole; reads them one by one. */
void echo(void) {
    static char message[100];
    for (int got = 0;;) {
        const int count = simcall(3, 0, message + got, 1);
        got += count > 0 ? count : 0;
        if (got == 100) {
            simcall(4, 1, message, 100);
            got = 0;
        }
    }
}
END_C
xtensa-lx106-elf-gcc -O2 -nostdlib -mtext-section-literals -Wl,--section-start=.vectors=0x50000000 \
    -Wl,-Ttext=0x50000100 -Wl,-Tbss=0x60000000 "$place/echo.c" -o "$place/echo.elf" 2>"$place/log" || { cat "$place/log" >&2; exit 1; }
qemu-system-xtensa --version | head -n 1
xtensa-lx106-elf-gcc --version | head -n 1
cat >"$place/see.py" <<'END_PY'
import os, select, socket, subprocess, sys

COMMAND = "qemu-system-xtensa -machine sim -cpu lx106 -nodefaults -display none -monitor none -semihosting -kernel".split()


def wrong(messages, standard):
    """Whether one of so many messages does not come back as it was, and how many were sent."""
    ours, theirs = socket.socketpair()
    number = theirs.fileno()
    if standard:
        line = dict(stdin=number, stdout=number)
        options = []
    else:
        line = dict(stdin=subprocess.DEVNULL, pass_fds=[number])
        options = ["-chardev", f"socket,id=line,fd={number}", "-serial", "chardev:line"]
    emulator = subprocess.Popen([*COMMAND, sys.argv[1], *options], **line)
    theirs.close()
    try:
        for i in range(messages):
            message = os.urandom(100)
            ours.sendall(message)
            answer = b""
            while len(answer) < 100 and select.select([ours], [], [], 5)[0]:
                answer += ours.recv(100 - len(answer))
            if answer != message:
                return True, i + 1
        return False, messages
    finally:
        emulator.kill()
        emulator.wait()


def seen(what, standard, most):
    bad, sent = wrong(most, standard)
    print(f"seen: {what}: {sent:,} messages of 100 bytes, {'the last did not come back as it was' if bad else 'none differs'}")
    return bad


lost = seen("a character device", False, 400_000)
kept = seen("QEMU's own standard input", True, 40_000)
sys.exit(0 if lost and not kept else "that has changed")
END_PY
python3 "$place/see.py" "$place/echo.elf"
