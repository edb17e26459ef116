/* QEMU's Xtensa `sim` machine with the LX106 core: a line and an exit status by SIMCALL, CCOUNT for
 * instructions. Xtensa Instruction Set Architecture Reference Manual (2010): 4.4.1 exceptions, 4.4.2 the
 * relocatable vectors, 5.3 special registers; offsets of the vectors as in QEMU's description of the core. */
#include "board.h"
#include "common/fault.h"
#include "common/startup.h"

/* SIMCALL: number in a2, arguments from a3 on, the answer in a2 (negative: an error). */
#define CALL_EXIT       1
#define CALL_READ       3
#define CALL_WRITE      4
#define STANDARD_INPUT  0
#define STANDARD_OUTPUT 1

/* CCOUNT follows a clock of 40 MHz; under `-icount shift=0` an instruction takes 1 ns of it. */
#define CLOCK_HZ               40000000u
#define INSTRUCTIONS_PER_COUNT 25u

/* Over DEBUGCAUSE in a report's status, which else is EXCCAUSE. */
#define BREAK 0x100u

int main(void);
void stapes_entry(void);
void xtensa_start(void);
void xtensa_exception(uint32_t lr, uint32_t sp, uint32_t is_break);

static const stapes_board_info_t info = {
    STAPES_BOARD_NAME, STAPES_COUNTER_INSTRUCTIONS, INSTRUCTIONS_PER_COUNT, 1u, CLOCK_HZ, 0u};

/* The reset vector, which is the base of the others too: a breakpoint, an exception in the kernel, of a user,
 * in a handler. PS 0: breakpoints count, and the next exception is no second one; no interrupt is on. The
 * stack may be what failed, so the report is made on a fresh one. */
__asm(".section .vectors, \"ax\"\n"
      ".global stapes_entry\n"
      ".balign 256\n"
      ".begin no-transform\n"
      "stapes_entry:\n"
      "    j 1f\n"
      "    .org 0x10\n"
      "    j xtensa_break\n"
      "    .org 0x30\n"
      "    j xtensa_trap\n"
      "    .org 0x50\n"
      "    j xtensa_trap\n"
      "    .org 0x70\n"
      "    j xtensa_trap\n"
      ".end no-transform\n"
      "    .org 0x74\n"
      "    .literal_position\n"
      "1:  movi a2, 0\n"
      "    wsr.ps a2\n"
      "    rsync\n"
      "    movi a2, stapes_entry\n"
      "    wsr.vecbase a2\n"
      "    rsync\n"
      "    movi a1, __stack_top\n"
      "    j xtensa_start\n"
      "xtensa_break:\n"
      "    movi a4, 1\n"
      "    j 2f\n"
      "xtensa_trap:\n"
      "    movi a4, 0\n"
      "2:  mov a2, a0\n"
      "    mov a3, a1\n"
      "    movi a1, __stack_top\n"
      "    j xtensa_exception\n"
      ".text\n");

__attribute__((used)) void xtensa_start(void) {
    startup_memory();
    (void)main();
    for (;;) {
        board_reset();
    }
}

__attribute__((used)) void xtensa_exception(uint32_t lr, uint32_t sp, uint32_t is_break) {
    board_fault_t fault = {.cause = STAPES_FAULT_XTENSA, .lr = lr, .sp = sp};
    __asm volatile("rsr.ps %0" : "=r"(fault.psr));
    if (is_break != 0u) {
        __asm volatile("rsr.epc2 %0\n"
                       "rsr.debugcause %1\n"
                       : "=r"(fault.pc), "=r"(fault.status));
        fault.status |= BREAK;
    } else {
        __asm volatile("rsr.epc1 %0\n"
                       "rsr.exccause %1\n"
                       "rsr.excvaddr %2\n"
                       : "=r"(fault.pc), "=r"(fault.status), "=r"(fault.address));
    }
    fault_keep(&fault);
    board_reset();
}

static int32_t simcall(int32_t number, int32_t first, const void *address, size_t count) {
    register int32_t a2 __asm("a2") = number;
    register int32_t a3 __asm("a3") = first;
    register const void *a4 __asm("a4") = address;
    register size_t a5 __asm("a5") = count;
    __asm volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
    return a2;
}

void board_init(void) {}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    const int32_t count = simcall(CALL_READ, STANDARD_INPUT, bytes, capacity);
    return count > 0 ? (size_t)count : 0u;
}

void board_write(const uint8_t *bytes, size_t count) {
    while (count != 0u) {
        const int32_t written = simcall(CALL_WRITE, STANDARD_OUTPUT, bytes, count);
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        }
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

uint32_t board_ticks(void) {
    uint32_t count;
    __asm volatile("rsr.ccount %0" : "=r"(count));
    return count;
}

void board_reset(void) {
    for (;;) {
        stapes_entry();
    }
}

void board_exit(int status) {
    for (;;) {
        (void)simcall(CALL_EXIT, status, NULL, 0u);
    }
}
