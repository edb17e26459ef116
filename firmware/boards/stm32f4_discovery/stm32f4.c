/* STM32F4 Discovery: 168 MHz from the 8 MHz crystal, USART2 on PA2/PA3 (RM0090: 3.9 flash, 7.3 RCC, 8.4
   GPIO, 18.4 TIM2, 30.6 USART). Every wait is bounded: without the crystal the PLL runs from the internal
   oscillator, without the PLL the core runs at 16 MHz. QEMU models no RCC and takes that last way. */
#include "board.h"
#include "cortex_m/cortex_m.h"
#include "semihosting/semihosting.h"

#define RCC                0x40023800u
#define RCC_CR             REGISTER(RCC + 0x00u)
#define RCC_PLLCFGR        REGISTER(RCC + 0x04u)
#define RCC_CFGR           REGISTER(RCC + 0x08u)
#define RCC_AHB1ENR        REGISTER(RCC + 0x30u)
#define RCC_APB1ENR        REGISTER(RCC + 0x40u)
#define CR_HSEON           (1u << 16)
#define CR_HSERDY          (1u << 17)
#define CR_PLLON           (1u << 24)
#define CR_PLLRDY          (1u << 25)
#define PLLCFGR_SOURCE_HSE (1u << 22)
#define CFGR_SWITCH_PLL    2u
#define CFGR_STATUS        (3u << 2)
#define CFGR_STATUS_PLL    (2u << 2)
#define CFGR_APB1_DIV4     (5u << 10)
#define CFGR_APB2_DIV2     (4u << 13)
#define AHB1_GPIOA         1u
#define APB1_TIM2          1u
#define APB1_USART2        (1u << 17)

#define FLASH_ACR                   REGISTER(0x40023C00u)
#define ACR_5_WAITS_CACHES_PREFETCH 0x705u

#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_PUPDR REGISTER(0x4002000Cu)
#define GPIOA_AFRL  REGISTER(0x40020020u)

#define USART2_SR    REGISTER(0x40004400u)
#define USART2_DR    REGISTER(0x40004404u)
#define USART2_BRR   REGISTER(0x40004408u)
#define USART2_CR1   REGISTER(0x4000440Cu)
#define SR_RXNE      (1u << 5)
#define SR_TC        (1u << 6)
#define SR_TXE       (1u << 7)
#define CR1_UE_TE_RE ((1u << 13) | (1u << 3) | (1u << 2))

#define TIM2_CR1 REGISTER(0x40000000u)
#define TIM2_EGR REGISTER(0x40000014u)
#define TIM2_CNT REGISTER(0x40000024u)
#define TIM2_PSC REGISTER(0x40000028u)
#define TIM2_ARR REGISTER(0x4000002Cu)

#define HSI_HZ        16000000u
#define CORE_HZ       168000000u
#define FASTEST_SHARE 30u     /* of the bus clock: a divider of 30 is within 2 % of any speed */
#define READY_SPINS   100000u /* more than the 2 ms that a crystal may take at 16 MHz */
#define WRITE_SPINS   1000000u

static uint32_t usart_hz;
static bool console; /* emulated: talk through semihosting instead of the UART */

static stapes_board_info_t info = {STAPES_BOARD_NAME, STAPES_COUNTER_NONE, 1u, 1u, 0u, 0u};

static bool wait_for(volatile const uint32_t *address, uint32_t mask, uint32_t value) {
    for (uint32_t spin = 0; spin < READY_SPINS; spin++) {
        if ((*address & mask) == value) {
            return true;
        }
    }
    return false;
}

/* Returns the frequency of APB1. */
static uint32_t start_clock(void) {
    RCC_CR |= CR_HSEON;
    bool crystal = wait_for(&RCC_CR, CR_HSERDY, CR_HSERDY);
    /* 1 MHz or 2 MHz into the PLL, 336 MHz out of its oscillator, /2 to the core, /7 for USB. */
    RCC_PLLCFGR = (7u << 24) | (crystal ? PLLCFGR_SOURCE_HSE | (336u << 6) | 8u : (336u << 6) | 16u);
    RCC_CR |= CR_PLLON;
    if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        return HSI_HZ;
    }
    FLASH_ACR = ACR_5_WAITS_CACHES_PREFETCH;
    RCC_CFGR = CFGR_APB1_DIV4 | CFGR_APB2_DIV2 | CFGR_SWITCH_PLL;
    if (!wait_for(&RCC_CFGR, CFGR_STATUS, CFGR_STATUS_PLL)) {
        RCC_CFGR = 0u;
        return HSI_HZ;
    }
    return CORE_HZ / 4u;
}

static void start_usart(uint32_t bus_hz) {
    RCC_AHB1ENR |= AHB1_GPIOA;
    RCC_APB1ENR |= APB1_USART2;
    (void)RCC_APB1ENR;                              /* the clock takes two cycles to arrive */
    GPIOA_AFRL = (GPIOA_AFRL & ~0xFF00u) | 0x7700u; /* PA2, PA3: alternate function 7 */
    GPIOA_PUPDR = (GPIOA_PUPDR & ~0xF0u) | 0x50u;   /* pulled up: silent when nothing is connected */
    GPIOA_MODER = (GPIOA_MODER & ~0xF0u) | 0xA0u;
    usart_hz = bus_hz;
    info.max_baud = bus_hz / FASTEST_SHARE;
    board_set_baud(STAPES_BOOT_BAUD);
    USART2_CR1 = CR1_UE_TE_RE;
    (void)USART2_DR; /* drops what came before, and lets QEMU see that the receiver is on */
}

/* Real silicon counts cycles. An emulator's cycle counter stands still; QEMU's TIM2 then counts virtual
   nanoseconds, which under `-icount shift=0` are instructions. */
static void start_counter(void) {
    info.counter = STAPES_COUNTER_CYCLES;
    info.ticks_per_second = usart_hz == HSI_HZ ? HSI_HZ : CORE_HZ;
    if (cortex_m_start_cycle_counter()) {
        return;
    }
    RCC_APB1ENR |= APB1_TIM2;
    (void)RCC_APB1ENR;
    TIM2_PSC = 0u;
    TIM2_ARR = 0xFFFFFFFFu;
    TIM2_EGR = 1u;
    TIM2_CR1 = 1u;
    info.counter = STAPES_COUNTER_INSTRUCTIONS;
    info.ticks_per_second = 1000000000u;
}

void board_init(void) {
    start_usart(start_clock());
    start_counter();
    console = info.counter != STAPES_COUNTER_CYCLES && semihosting_console();
    if (console) {
        info.max_baud = 0u;
    }
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    if (console) {
        return semihosting_read(bytes, capacity);
    }
    size_t count = 0;
    while (count < capacity && (USART2_SR & SR_RXNE) != 0u) {
        bytes[count++] = (uint8_t)USART2_DR;
    }
    return count;
}

void board_write(const uint8_t *bytes, size_t count) {
    if (console) {
        semihosting_write(bytes, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (uint32_t spin = 0; (USART2_SR & SR_TXE) == 0u && spin < WRITE_SPINS; spin++) {
        }
        USART2_DR = bytes[i];
    }
}

void board_set_baud(uint32_t baud) {
    for (uint32_t spin = 0;
         (USART2_CR1 & CR1_UE_TE_RE) != 0u && (USART2_SR & SR_TC) == 0u && spin < WRITE_SPINS; spin++) {
    }
    USART2_BRR = (usart_hz + baud / 2u) / baud;
}

uint32_t board_ticks(void) {
    return info.counter == STAPES_COUNTER_CYCLES ? cortex_m_cycles() : TIM2_CNT;
}

uint32_t board_stack_high_water(void) {
    return cortex_m_stack_high_water();
}

void board_reset(void) {
    cortex_m_reset();
}

void board_exit(int status) {
    if (info.counter != STAPES_COUNTER_CYCLES) {
        semihosting_exit(status);
    }
    cortex_m_reset(); /* a real board has nowhere to exit to */
}
