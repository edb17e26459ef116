/* Caches of the Cortex-M7 (Armv7-M Architecture Reference Manual, B2.2.7 and B3.2.16; Cortex-M7 Technical
   Reference Manual, DDI 0489, 3.3.6). */
#include "cortex_m/cortex_m.h"

#define SCB_CCR     REGISTER(0xE000ED14u)
#define SCB_CCSIDR  REGISTER(0xE000ED80u)
#define SCB_CSSELR  REGISTER(0xE000ED84u)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCIMVAC REGISTER(0xE000EF5Cu)
#define SCB_DCISW   REGISTER(0xE000EF60u)
#define SCB_DCCSW   REGISTER(0xE000EF6Cu)
#define CCR_DATA    (1u << 16)
#define CCR_CODE    (1u << 17)
#define LINE        32u
#define WAY_SHIFT   30u /* four ways */
#define SET_SHIFT   5u

static void barrier(void) {
    __asm volatile("dsb\n isb" ::: "memory");
}

static void every_line(volatile uint32_t *operation) {
    SCB_CSSELR = 0u; /* level 1, data */
    barrier();
    uint32_t size = SCB_CCSIDR;
    uint32_t ways = (size >> 3 & 0x3FFu) + 1u;
    uint32_t sets = (size >> 13 & 0x7FFFu) + 1u;
    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            *operation = way << WAY_SHIFT | set << SET_SHIFT;
        }
    }
    barrier();
}

void cortex_m_enable_caches(void) {
    if ((SCB_CCR & CCR_CODE) == 0u) {
        SCB_ICIALLU = 0u;
        barrier();
        SCB_CCR |= CCR_CODE;
    }
    if ((SCB_CCR & CCR_DATA) == 0u) {
        every_line(&SCB_DCISW); /* random after power-on */
        SCB_CCR |= CCR_DATA;
    }
    barrier();
}

void cortex_m_clean_caches(void) {
    if ((SCB_CCR & CCR_DATA) != 0u) {
        every_line(&SCB_DCCSW);
    }
}

void cortex_m_invalidate(const volatile void *address, uint32_t bytes) {
    barrier();
    for (uint32_t at = 0; at < bytes; at += LINE) {
        SCB_DCIMVAC = (uint32_t)(uintptr_t)address + at;
    }
    barrier();
}
