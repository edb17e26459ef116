#include "semihosting/semihosting.h"

#include <string.h>

#define SYS_OPEN          0x01u
#define SYS_WRITEC        0x03u
#define SYS_READ          0x06u
#define SYS_READC         0x07u
#define SYS_SEEK          0x0Au
#define SYS_GET_CMDLINE   0x15u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT  0x20026u
#define READ_BINARY       1u

typedef struct {
    uint32_t value; /* what the call returned */
    uint32_t below; /* the byte just below the stack pointer, 0 before the call */
} result_t;

#if defined(__riscv)

/* The three instructions tell it from a debugger's breakpoint; they must be 32 bits each and in one page. */
__attribute__((noinline, aligned(64))) static result_t call(uint32_t operation,
                                                            const volatile void *argument) {
    register uint32_t a0 __asm("a0") = operation;
    register const volatile void *a1 __asm("a1") = argument;
    uint32_t below;
    __asm volatile(".option push\n"
                   ".option norvc\n"
                   "sb zero, -1(sp)\n"
                   "slli zero, zero, 0x1f\n"
                   "ebreak\n"
                   "srai zero, zero, 7\n"
                   "lbu %1, -1(sp)\n"
                   ".option pop\n"
                   : "+r"(a0), "=r"(below)
                   : "r"(a1)
                   : "memory");
    return (result_t){a0, below};
}

static bool debugger_attached(void) {
    return false;
}

#else

/* Armv7-M Architecture Reference Manual (DDI 0403), C1.6.2. */
#define DHCSR          (*(volatile uint32_t *)(uintptr_t)0xE000EDF0u)
#define DHCSR_DEBUGGER 1u

static result_t call(uint32_t operation, const volatile void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const volatile void *r1 __asm("r1") = argument;
    uint32_t below = 0u;
    uint32_t place;
    __asm volatile("mov %2, sp\n"
                   "subs %2, #1\n"
                   "strb %1, [%2]\n"
                   "bkpt 0xab\n"
                   "ldrb %1, [%2]\n"
                   : "+l"(r0), "+l"(below), "=&l"(place)
                   : "l"(r1)
                   : "memory", "cc");
    return (result_t){r0, below};
}

static bool debugger_attached(void) {
    return (DHCSR & DHCSR_DEBUGGER) != 0u;
}

#endif

/* The words of the command line are `name` or `name=value`. By hand: this is in every image, and with it
 * would be the library's functions on strings. */
__attribute__((cold)) bool semihosting_argument(const char *name, char *value, size_t capacity) {
    if (debugger_attached()) {
        return false;
    }
    char text[128];
    const volatile uintptr_t block[2] = {(uintptr_t)text, sizeof text - 1u};
    if (call(SYS_GET_CMDLINE, block).value != 0u) {
        return false;
    }
    for (const char *at = text; *at != '\0';) {
        const char *rest = name;
        while (*rest != '\0' && *at == *rest) {
            at++;
            rest++;
        }
        const bool found = *rest == '\0' && (*at == '\0' || *at == ' ' || *at == '=');
        if (found) {
            at += *at == '=' ? 1 : 0;
            for (; capacity != 0u; capacity--) {
                if (*at == '\0' || *at == ' ') {
                    *value = '\0';
                    return true;
                }
                *value++ = *at++;
            }
            return false;
        }
        while (*at != '\0' && *at++ != ' ') {
        }
    }
    return false;
}

bool semihosting_console(void) {
    char value[1];
    return semihosting_argument("stapes-console", value, sizeof value);
}

int semihosting_open(const char *name) {
    const volatile uintptr_t block[3] = {(uintptr_t)name, READ_BINARY, strlen(name)};
    return (int)call(SYS_OPEN, block).value;
}

bool semihosting_rewind(int file) {
    const volatile uintptr_t block[2] = {(uintptr_t)file, 0u};
    return call(SYS_SEEK, block).value == 0u;
}

size_t semihosting_read_file(int file, void *bytes, size_t count) {
    const volatile uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, count};
    const size_t left = call(SYS_READ, block).value;
    return left <= count ? count - left : 0u;
}

/* QEMU 7.1 and later put the byte just below the stack pointer; 7.1 and 7.2 then return what was there before
 * it, and older versions return the byte and leave the stack alone. Both places together always tell it. */
size_t semihosting_read(uint8_t *bytes, size_t capacity) {
    (void)capacity;
    result_t result = call(SYS_READC, NULL);
    bytes[0] = (uint8_t)(result.below != 0u ? result.below : result.value);
    return 1u;
}

void semihosting_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        (void)call(SYS_WRITEC, &bytes[i]);
    }
}

void semihosting_exit(int status) {
    const volatile uintptr_t block[2] = {APPLICATION_EXIT, (uintptr_t)status};
    (void)call(SYS_EXIT_EXTENDED, block);
}
