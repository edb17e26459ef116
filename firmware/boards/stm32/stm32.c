/* The board's functions, the same for all families: clock, UART, counter, LED, watchdog (RM0090, 21.4),
 * unique id. */
#include "stm32/stm32.h"

#include <stddef.h>
#include <string.h>

#include "board.h"
#include "common/fault.h"
#include "semihosting/line.h"
#include "semihosting/semihosting.h"

#define TIM2_CR1 REGISTER(0x40000000u)
#define TIM2_EGR REGISTER(0x40000014u)
#define TIM2_CNT REGISTER(0x40000024u)
#define TIM2_PSC REGISTER(0x40000028u)
#define TIM2_ARR REGISTER(0x4000002Cu)

#define IWDG_KR     REGISTER(WATCHDOG + 0x0u)
#define IWDG_PR     REGISTER(WATCHDOG + 0x4u)
#define IWDG_RLR    REGISTER(WATCHDOG + 0x8u)
#define IWDG_SR     REGISTER(WATCHDOG + 0xCu)
#define KEY_FEED    0xAAAAu
#define KEY_ACCESS  0x5555u
#define KEY_START   0xCCCCu
#define PER_MS      3u /* prescaler 32 of about 32 kHz */
#define PER_8_MS    6u
#define MOST_RELOAD 0xFFFu
#define SR_UPDATING 3u

#define UNIQUE_ID_BYTES 12u

/* QEMU's: SysTick of the STM32F100 counts 24 MHz whatever the clock was set to, TIM2 counts nanoseconds, and
 * one instruction is one nanosecond under `-icount shift=0`. */
#define EMULATED_SYSTICK_MHZ 24u

static enum { CYCLES, TIMER, SYSTICK } counter;
static bool is_emulated;
static stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_NONE, 1u, 1u, 0u, 0u};

static bool start_timer(void) {
    TIM2_ENABLE |= 1u;
    (void)TIM2_ENABLE;
    TIM2_PSC = 0u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = 1u;
    TIM2_CR1 = 1u;
    return TIM2_ARR == 0xFFFFFFFFu; /* 32 bits, and there at all */
}

#if __ARM_ARCH_ISA_THUMB >= 2
/* Silicon counts cycles. An emulator's cycle counter may stand still; its timers then tell virtual time. */
static void start_counter(uint32_t core_hz) {
    info.counter = STAPES_COUNTER_CYCLES;
    info.ticks_per_second = core_hz;
    if (cortex_m_start_cycle_counter()) {
        return;
    }
    is_emulated = true;
    info.counter = STAPES_COUNTER_INSTRUCTIONS;
    if (start_timer()) {
        counter = TIMER;
        info.ticks_per_second = 1000000000u;
        return;
    }
    counter = SYSTICK;
    cortex_m_start_systick();
    info.ticks_per_second = EMULATED_SYSTICK_MHZ * 1000000u;
    info.counter_numerator = 1000u;
    info.counter_denominator = EMULATED_SYSTICK_MHZ;
}
#else
/* No cycle counter; the timer runs at the core's clock. */
static void start_counter(uint32_t core_hz) {
    (void)start_timer();
    counter = TIMER;
    info.counter = STAPES_COUNTER_CYCLES;
    info.ticks_per_second = core_hz;
}
#endif

void board_init(void) {
#if defined(SYSCFG_CFGR1)
    SYSCFG_ENABLE |= 1u;
    (void)SYSCFG_ENABLE;
    SYSCFG_CFGR1 &= ~CFGR1_MEMORY; /* the chip's boot loader leaves its own vectors there */
#endif
    if ((RESET_CAUSE & RESET_WATCHDOG) != 0u) {
        fault_keep_watchdog();
    }
    RESET_CAUSE |= RESET_CLEAR;
    const stm32_clock_t clock = stm32_start_clock();
    stm32_pin_output(stm32_board.led);
    start_counter(clock.core);
    info.max_baud = stm32_uart_max_baud(clock.uart);
    stm32_start_uart(clock.uart);
    if (is_emulated && line_use_console()) {
        info.max_baud = 0u;
    }
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

uint32_t board_ticks(void) {
    switch (counter) {
#if __ARM_ARCH_ISA_THUMB >= 2
    case CYCLES: return cortex_m_cycles();
#endif
    case SYSTICK: return cortex_m_systick();
    default: return TIM2_CNT;
    }
}

void board_led(int on) {
    stm32_pin_set(stm32_board.led, on != 0);
}

size_t board_unique_id(uint8_t *id, size_t capacity) {
    if (capacity < UNIQUE_ID_BYTES || is_emulated) {
        return 0; /* an emulator has none, and QEMU nothing at the address */
    }
    uint32_t any = 0;
    for (uint32_t i = 0; i < UNIQUE_ID_BYTES; i += 4u) {
        const uint32_t word = REGISTER(UNIQUE_ID + i);
        memcpy(id + i, &word, sizeof word);
        any |= word;
    }
    return any != 0u ? UNIQUE_ID_BYTES : 0u;
}

void board_watchdog_start(uint32_t timeout_ms) {
    const uint32_t prescaler = timeout_ms <= MOST_RELOAD ? PER_MS : PER_8_MS;
    uint32_t reload = prescaler == PER_MS ? timeout_ms : timeout_ms / 8u;
    if (reload > MOST_RELOAD) {
        reload = MOST_RELOAD;
    }
    IWDG_KR = KEY_START;
    IWDG_KR = KEY_ACCESS;
    IWDG_PR = prescaler;
    IWDG_RLR = reload;
    (void)stm32_wait(&IWDG_SR, SR_UPDATING, 0u);
    board_watchdog_feed();
}

void board_watchdog_feed(void) {
    IWDG_KR = KEY_FEED;
}

void board_sleep(void) {
    cortex_m_sleep();
}

void board_exit(int status) {
    if (is_emulated) {
        semihosting_exit(status);
    }
    cortex_m_reset(); /* a real board has nowhere to exit to */
}
