/* Registers of an STM32 as the audio drivers see them. What hardware does by itself happens at the next
 * access of any register: PLLI2S locks, the converter calibrates, starts and stops, flags are cleared. */
#include <stdlib.h>

#include "board.h"
#include "stm32/stm32.h"

#define WORDS 256u

#define RCC_CR       (RCC + 0x00u)
#define PLLI2S_ON    (1u << 26)
#define PLLI2S_READY (1u << 27)
#define ADC_ENABLE   1u
#define ADC_START    (1u << 2)
#define ADC_STOP     (1u << 4)
#define ADC_CAL      (1u << 31)

static struct {
    uint32_t address;
    volatile uint32_t value;
} words[WORDS];
static uint32_t used, interrupts, last, invalidated;
static int dead; /* 1: PLL and converter never start */
static bool enabled, started;

/* Bits that appear after some more accesses. */
static struct { uint32_t accesses, address, bits; } later;

void fake_reset(int without_clocks);
void fake_later(uint32_t accesses, uint32_t address, uint32_t bits);
uint32_t fake_get(uint32_t address);
void fake_set(uint32_t address, uint32_t value);
uint32_t fake_interrupts(void); /* enabled, and of the lowest priority */
uint32_t fake_invalidated(void);
void fake_clock(uint32_t hz);

static stapes_board_info_t info;

static volatile uint32_t *word(uint32_t address) {
    for (uint32_t i = 0; i < used; i++) {
        if (words[i].address == address) {
            return &words[i].value;
        }
    }
    if (used == WORDS) {
        abort();
    }
    words[used].address = address;
    words[used].value = 0;
    return &words[used++].value;
}

static void clear_flags(uint32_t flags, uint32_t clear) {
    *word(flags) &= ~*word(clear);
    *word(clear) = 0;
}

static void convert(uint32_t adc) {
    volatile uint32_t *const cr = word(adc + 8u);
    if (dead != 0 || *cr == 0) {
        return;
    }
    *cr &= ~ADC_CAL;
    enabled = enabled || (*cr & ADC_ENABLE) != 0;
    started = (started || (*cr & ADC_START) != 0) && (*cr & ADC_STOP) == 0;
    *cr &= ~(ADC_STOP | ADC_START);
    *cr |= (enabled ? ADC_ENABLE : 0u) | (started ? ADC_START : 0u);
    *word(adc) |= enabled ? 1u : 0u;
}

static void react(void) {
    volatile uint32_t *const cr = word(RCC_CR);
    *cr = (*cr & PLLI2S_ON) != 0 && dead == 0 ? *cr | PLLI2S_READY : *cr & ~PLLI2S_READY;
    clear_flags(0x40026000u, 0x40026008u);
    clear_flags(0x40020000u, 0x40020004u);
    convert(0x50040000u);
    convert(0x40012400u);
    if (later.accesses != 0 && --later.accesses == 0) {
        *word(later.address) |= later.bits;
    }
}

volatile uint32_t *fake_register(uint32_t address) {
    react();
    return word(address);
}

bool stm32_wait(const volatile uint32_t *address, uint32_t mask, uint32_t value) {
    react();
    return (*address & mask) == value;
}

void fake_reset(int without_clocks) {
    used = 0;
    interrupts = 0;
    last = 0;
    invalidated = 0;
    enabled = false;
    started = false;
    dead = without_clocks;
    later.accesses = 0;
}

void fake_later(uint32_t accesses, uint32_t address, uint32_t bits) {
    later.accesses = accesses;
    later.address = address;
    later.bits = bits;
}

uint32_t fake_get(uint32_t address) {
    return *fake_register(address);
}

void fake_set(uint32_t address, uint32_t value) {
    *fake_register(address) = value;
}

uint32_t fake_interrupts(void) {
    return interrupts & last;
}

uint32_t fake_invalidated(void) {
    return invalidated;
}

void fake_clock(uint32_t hz) {
    info.ticks_per_second = hz;
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

void cortex_m_enable_interrupt(uint32_t number) {
    interrupts |= 1u << number;
}

void cortex_m_put_last(uint32_t number) {
    last |= 1u << number;
}

void cortex_m_invalidate(const volatile void *address, uint32_t bytes) {
    (void)address;
    invalidated += bytes;
}
