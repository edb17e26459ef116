/* QEMU's riscv32 `virt` machine: NS16550A UART, the SiFive test device for reset and exit, minstret for
 * instructions (RISC-V Privileged Architecture 1.12, 3.1.10). Under `-icount shift=0` minstret is exact. */
#include "board.h"
#include "riscv/riscv.h"
#include "semihosting/semihosting.h"

#define UART_BYTE(offset) (*(volatile uint8_t *)(uintptr_t)(0x10000000u + (offset)))
#define UART_DATA         UART_BYTE(0u)
#define UART_FIFO         UART_BYTE(2u)
#define UART_LINE_STATUS  UART_BYTE(5u)
#define UART_FIFO_ENABLE  1u
#define UART_READY        0x01u
#define UART_TX_EMPTY     0x20u

#define TEST_DEVICE REGISTER(0x00100000u)
#define TEST_RESET  0x7777u
#define TEST_PASS   0x5555u
#define TEST_FAIL   0x3333u

#define WRITE_SPINS 1000000u

void stapes_entry(void);
void virt_trap(void);

static bool console; /* talk through semihosting instead of the UART */

static const stapes_board_info_t info = {
    STAPES_BOARD_NAME, STAPES_COUNTER_INSTRUCTIONS, 1u, 1u, 1000000000u, 0u};

__attribute__((naked, section(".vectors"), used)) void stapes_entry(void) {
    __asm volatile(CONTROL_REGISTERS "la sp, __stack_top\n"
                                     "la t0, virt_trap\n"
                                     "csrw mtvec, t0\n"
                                     "j riscv_start\n");
}

/* Semihosting's breakpoint traps where nobody serves it: then it answers -1. Any other trap is a fault, which
 * ends here: only the return address and the stack pointer are still needed. */
__attribute__((naked, aligned(4), used)) void virt_trap(void) {
    __asm volatile(CONTROL_REGISTERS "csrw mscratch, t0\n"
                                     "csrr t0, mcause\n"
                                     "addi t0, t0, -3\n" /* breakpoint */
                                     "bnez t0, 1f\n"
                                     "csrr t0, mepc\n"
                                     "lw a0, -4(t0)\n"
                                     "li t0, 0x01f01013\n" /* slli zero, zero, 31: semihosting's mark */
                                     "bne a0, t0, 1f\n"
                                     "csrr t0, mepc\n"
                                     "addi t0, t0, 4\n"
                                     "csrw mepc, t0\n"
                                     "li a0, -1\n"
                                     "csrr t0, mscratch\n"
                                     "mret\n"
                                     "1: j riscv_trap\n");
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
