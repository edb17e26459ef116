/* I2S2 of the STM32F4 and STM32F7 as a receiving master (RM0090, 28.4 and 28.5; RM0390, 26.6 and 26.7;
 * RM0410, 35.7 and 35.9), clocked by PLLI2S (RM0090, 7.3.23), read by stream 3 of DMA1, channel 0 (RM0090,
 * table 42 and 10.5). */
#include "stapes/error.h"
#include "stm32/microphone.h"

#define RCC_CR         REGISTER(RCC + 0x00u)
#define RCC_PLLCFGR    REGISTER(RCC + 0x04u)
#define RCC_AHB1ENR    REGISTER(RCC + 0x30u)
#define RCC_APB1ENR    REGISTER(RCC + 0x40u)
#define RCC_PLLI2SCFGR REGISTER(RCC + 0x84u)
#define CR_PLLI2SON    (1u << 26)
#define CR_PLLI2SRDY   (1u << 27)
#define PLLI2SCFGR_M   0x3Fu
#define PLLI2SCFGR_N_R (0x1FFu << 6 | 7u << 28)
#define AHB1_DMA1      (1u << 21)
#define APB1_SPI2      (1u << 14)

#define SPI2           0x40003800u
#define SPI2_CR2       REGISTER(SPI2 + 0x04u)
#define SPI2_SR        REGISTER(SPI2 + 0x08u)
#define SPI2_DR        REGISTER(SPI2 + 0x0Cu)
#define SPI2_I2SCFGR   REGISTER(SPI2 + 0x1Cu)
#define SPI2_I2SPR     REGISTER(SPI2 + 0x20u)
#define CR2_RXDMAEN    1u
#define SR_OVR         (1u << 6)
#define CFGR_MASTER_RX (1u << 11 | 3u << 8)
#define CFGR_ENABLE    (1u << 10)
#define CFGR_24_IN_32  (1u << 1 | 1u)      /* Philips standard */
#define CFGR_16_IN_16  (2u << 4 | 1u << 3) /* LSB justified, clock idle high */

#define DMA1        0x40026000u
#define DMA1_LISR   REGISTER(DMA1 + 0x00u)
#define DMA1_LIFCR  REGISTER(DMA1 + 0x08u)
#define STREAM_CR   REGISTER(DMA1 + 0x58u)
#define STREAM_NDTR REGISTER(DMA1 + 0x5Cu)
#define STREAM_PAR  REGISTER(DMA1 + 0x60u)
#define STREAM_M0AR REGISTER(DMA1 + 0x64u)
#define STREAM_FCR  REGISTER(DMA1 + 0x6Cu)
#define FLAG_FULL   (1u << 27)
#define FLAG_HALF   (1u << 26)
#define FLAG_ERROR  (1u << 25)
#define FLAGS       (0x3Du << 22)
#define STREAM_ON   1u
/* Channel 0, halves of words to ascending addresses, round and round, interrupts at half, end and error, high
 * priority. */
#define STREAM_SETTING (2u << 16 | 1u << 13 | 1u << 11 | 1u << 10 | 1u << 8 | 1u << 4 | 1u << 3 | 1u << 2)
#define INTERRUPT      14u

#define INPUT_HZ   2000000u /* both PLLs', see clock_f4_f7.c */
#define VCO_LEAST  96u      /* times the input: 192 to 432 MHz */
#define VCO_MOST   216u
#define MOST_ERROR 1000000u /* 10^-9: a thousandth */

static uint32_t setting; /* of SPI2_I2SCFGR */

stm32_i2s_clock_t stm32_i2s_clock(uint32_t bit_hz) {
    stm32_i2s_clock_t best = {0u, 0u, 0u, UINT32_MAX};
    for (uint32_t divider = 2u; divider <= 7u; divider++) {
        for (uint32_t multiplier = VCO_LEAST; multiplier <= VCO_MOST; multiplier++) {
            const uint32_t vco = INPUT_HZ * multiplier;
            const uint32_t step = bit_hz * divider;
            const uint32_t prescaler = (vco + step / 2u) / step;
            if (prescaler < 4u || prescaler > 511u) {
                continue;
            }
            const uint32_t made = step * prescaler;
            const uint32_t off = made > vco ? made - vco : vco - made;
            const uint32_t error = (uint32_t)((uint64_t)off * 1000000000u / made);
            if (error < best.error) {
                best = (stm32_i2s_clock_t){multiplier, divider, prescaler, error};
            }
        }
    }
    return best;
}

static bool start_pll(const stm32_i2s_clock_t *clock) {
    RCC_CR &= ~CR_PLLI2SON;
    if (!stm32_wait(&RCC_CR, CR_PLLI2SRDY, 0u)) {
        return false;
    }
    uint32_t value = RCC_PLLI2SCFGR & ~PLLI2SCFGR_N_R;
    if (stm32_i2s_board.own_divider) {
        value = (value & ~PLLI2SCFGR_M) | (RCC_PLLCFGR & PLLI2SCFGR_M);
    }
    RCC_PLLI2SCFGR = value | clock->divider << 28 | clock->multiplier << 6;
    RCC_CR |= CR_PLLI2SON;
    return stm32_wait(&RCC_CR, CR_PLLI2SRDY, CR_PLLI2SRDY);
}

static void run(void) {
    DMA1_LIFCR = FLAGS;
    STREAM_NDTR = 2u * STM32_AUDIO_HALF;
    STREAM_CR = STREAM_SETTING | STREAM_ON;
    SPI2_I2SCFGR = setting;
    SPI2_CR2 = CR2_RXDMAEN;
    SPI2_I2SCFGR = setting | CFGR_ENABLE;
}

static void halt(void) {
    SPI2_I2SCFGR = 0u;
    SPI2_CR2 = 0u;
    STREAM_CR = 0u;
    (void)stm32_wait(&STREAM_CR, STREAM_ON, 0u);
    (void)SPI2_DR; /* this and the next clear an overrun */
    (void)SPI2_SR;
    DMA1_LIFCR = FLAGS;
}

int stm32_i2s_start(uint32_t bit_hz, stm32_i2s_format_t format) {
    const stm32_i2s_clock_t clock = stm32_i2s_clock(bit_hz);
    if (clock.error > MOST_ERROR) {
        return STAPES_E_ARGUMENT;
    }
    if (!start_pll(&clock)) {
        return STAPES_E_HARDWARE;
    }
    stm32_pin_uart(stm32_i2s_board.clock, true);
    if (stm32_i2s_board.select.port != 0u) {
        stm32_pin_uart(stm32_i2s_board.select, true);
    }
    stm32_pin_uart(stm32_i2s_board.data, false);
    RCC_AHB1ENR |= AHB1_DMA1;
    RCC_APB1ENR |= APB1_SPI2;
    (void)RCC_APB1ENR; /* the clock takes two cycles to arrive */
    halt();
    SPI2_I2SPR = clock.prescaler / 2u | (clock.prescaler & 1u) << 8;
    STREAM_PAR = SPI2 + 0x0Cu;
    STREAM_M0AR = (uint32_t)(uintptr_t)stm32_audio_buffer;
    STREAM_FCR = 0u;
    setting = CFGR_MASTER_RX | (format == STM32_I2S_SLOTS ? CFGR_24_IN_32 : CFGR_16_IN_16);
    cortex_m_put_last(INTERRUPT); /* a UART's byte does not wait for a conversion */
    cortex_m_enable_interrupt(INTERRUPT);
    run();
    return STAPES_OK;
}

uint32_t stm32_transport_events(void) {
    const uint32_t flags = DMA1_LISR;
    return ((flags & FLAG_HALF) != 0u ? STM32_FIRST_HALF : 0u) |
           ((flags & FLAG_FULL) != 0u ? STM32_SECOND_HALF : 0u) |
           ((flags & FLAG_ERROR) != 0u || (SPI2_SR & SR_OVR) != 0u ? STM32_TRANSPORT_ERROR : 0u);
}

void stm32_transport_clear(uint32_t events) {
    DMA1_LIFCR = ((events & STM32_FIRST_HALF) != 0u ? FLAG_HALF : 0u) |
                 ((events & STM32_SECOND_HALF) != 0u ? FLAG_FULL : 0u) |
                 ((events & STM32_TRANSPORT_ERROR) != 0u ? FLAG_ERROR : 0u);
}

uint32_t stm32_transport_left(void) {
    return STREAM_NDTR;
}

void stm32_transport_restart(void) {
    halt();
    run();
}

void stm32_transport_stop(void) {
    halt();
    RCC_CR &= ~CR_PLLI2SON;
}

CORTEX_M_HANDLER(14) {
    stm32_audio_interrupt();
}
