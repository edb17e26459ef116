#include "cortex_m/semihosting.h"

#include <string.h>

#include "cortex_m/cortex_m.h"

#define SYS_WRITEC        0x03u
#define SYS_READC         0x07u
#define SYS_GET_CMDLINE   0x15u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT  0x20026u

#define DHCSR          REGISTER(0xE000EDF0u)
#define DHCSR_DEBUGGER 1u

static uint32_t call(uint32_t operation, const volatile void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const volatile void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

bool semihosting_console(void) {
    if ((DHCSR & DHCSR_DEBUGGER) != 0u) {
        return false;
    }
    char text[128] = "";
    uint32_t block[2] = {(uint32_t)(uintptr_t)text, sizeof text - 1u};
    return call(SYS_GET_CMDLINE, block) == 0u && strcmp(text, "stapes-console") == 0;
}

/* QEMU 7.1 and later leave the byte just below the stack pointer; 7.1 and 7.2 then return what was there
 * before it, and older versions return the byte and leave the stack alone. Both places together always tell
 * it. */
size_t semihosting_read(uint8_t *bytes, size_t capacity) {
    (void)capacity;
    register uint32_t r0 __asm("r0") = SYS_READC;
    register uint32_t r1 __asm("r1") = 0u;
    uint32_t below;
    __asm volatile("mov %2, sp\n"
                   "sub %2, #1\n"
                   "strb %1, [%2]\n"
                   "bkpt 0xab\n"
                   "ldrb %1, [%2]\n"
                   : "+l"(r0), "+l"(r1), "=&l"(below)
                   :
                   : "memory", "cc");
    bytes[0] = (uint8_t)(r1 != 0u ? r1 : r0);
    return 1u;
}

void semihosting_write(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        (void)call(SYS_WRITEC, &bytes[i]);
    }
}

void semihosting_exit(int status) {
    const volatile uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)status};
    (void)call(SYS_EXIT_EXTENDED, block);
}
