/* QEMU's riscv32 `virt` machine: NS16550A UART, the SiFive test device for reset and exit, minstret for
 * instructions (RISC-V Privileged Architecture 1.12, 3.1.10). Under `-icount shift=0` minstret is exact. */
#include "board.h"
#include "semihosting/semihosting.h"

#define UART_BYTE(offset) (*(volatile uint8_t *)(uintptr_t)(0x10000000u + (offset)))
#define UART_DATA         UART_BYTE(0u)
#define UART_FIFO         UART_BYTE(2u)
#define UART_LINE_STATUS  UART_BYTE(5u)
#define UART_FIFO_ENABLE  1u
#define UART_READY        0x01u
#define UART_TX_EMPTY     0x20u

#define TEST_DEVICE (*(volatile uint32_t *)(uintptr_t)0x00100000u)
#define TEST_RESET  0x7777u
#define TEST_PASS   0x5555u
#define TEST_FAIL   0x3333u

/* The C library comes for RV32IMC, which names no control registers. */
#define CONTROL_REGISTERS ".option arch, +zicsr\n"

#define STACK_PAINT 0x5AA5C33Cu
#define WRITE_SPINS 1000000u

extern uint32_t __stack_limit[], __stack_top[];
extern uint32_t __data_start[], __data_end[], __data_load[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);
void stapes_start(void);
void stapes_trap(void);

static bool console; /* talk through semihosting instead of the UART */

static const stapes_board_info_t info = {
    STAPES_BOARD_NAME, STAPES_COUNTER_INSTRUCTIONS, 1u, 1u, 1000000000u, 0u};

__attribute__((naked, section(".vectors"), used)) void stapes_entry(void) {
    __asm volatile(CONTROL_REGISTERS "la sp, __stack_top\n"
                                     "la t0, stapes_trap_entry\n"
                                     "csrw mtvec, t0\n"
                                     "j stapes_start\n");
}

/* Semihosting's breakpoint traps where nobody serves it: then it answers -1. Any other trap restarts the
 * firmware. */
__attribute__((naked, aligned(4), used)) void stapes_trap_entry(void) {
    __asm volatile(CONTROL_REGISTERS "csrr a0, mcause\n"
                                     "li t0, 3\n" /* breakpoint */
                                     "bne a0, t0, 1f\n"
                                     "csrr t0, mepc\n"
                                     "addi t0, t0, 4\n"
                                     "csrw mepc, t0\n"
                                     "li a0, -1\n"
                                     "mret\n"
                                     "1: j board_reset\n");
}

/* The loops must not become calls of memcpy or memset before RAM is ready. */
__attribute__((noreturn, used, optimize("no-tree-loop-distribute-patterns"))) void stapes_start(void) {
    uint32_t *here;
    __asm volatile("mv %0, sp" : "=r"(here));
    for (uint32_t *word = __stack_limit; word < here; word++) {
        *word = STACK_PAINT;
    }
    const uint32_t *load = __data_load;
    for (uint32_t *word = __data_start; word < __data_end; word++) {
        *word = *load++;
    }
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0u;
    }
    (void)main();
    for (;;) {
        board_reset();
    }
}

void board_init(void) {
    UART_FIFO = UART_FIFO_ENABLE;
    (void)UART_DATA; /* drops what came before, and lets QEMU see that the receiver is on */
    console = semihosting_console();
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    if (console) {
        return semihosting_read(bytes, capacity);
    }
    size_t count = 0;
    while (count < capacity && (UART_LINE_STATUS & UART_READY) != 0u) {
        bytes[count++] = UART_DATA;
    }
    return count;
}

void board_write(const uint8_t *bytes, size_t count) {
    if (console) {
        semihosting_write(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t spin = 0; (UART_LINE_STATUS & UART_TX_EMPTY) == 0u && spin < WRITE_SPINS; spin++) {
        }
        UART_DATA = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

uint32_t board_ticks(void) {
    uint32_t count;
    __asm volatile(CONTROL_REGISTERS "csrr %0, minstret" : "=r"(count));
    return count;
}

uint32_t board_stack_high_water(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)__stack_top - (uintptr_t)word);
}

void board_reset(void) {
    for (;;) {
        TEST_DEVICE = TEST_RESET;
    }
}

void board_exit(int status) {
    for (;;) {
        TEST_DEVICE = status == 0 ? TEST_PASS : (uint32_t)status << 16 | TEST_FAIL;
    }
}
