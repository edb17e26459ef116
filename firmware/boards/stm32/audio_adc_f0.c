/* ADC of the STM32F0 (RM0091: 13.4 and 13.11, table 49 triggers), started by TIM3 (18.4). */
#include "stm32/microphone.h"

#define RCC_AHBENR  REGISTER(RCC + 0x14u)
#define RCC_APB2ENR REGISTER(RCC + 0x18u)
#define RCC_APB1ENR REGISTER(RCC + 0x1Cu)
#define AHB_DMA     1u
#define APB2_ADC    (1u << 9)
#define APB1_TIM3   (1u << 1)

#define ADC           0x40012400u
#define ADC_ISR       REGISTER(ADC + 0x00u)
#define ADC_CR        REGISTER(ADC + 0x08u)
#define ADC_CFGR1     REGISTER(ADC + 0x0Cu)
#define ADC_CFGR2     REGISTER(ADC + 0x10u)
#define ADC_SMPR      REGISTER(ADC + 0x14u)
#define ADC_CHSELR    REGISTER(ADC + 0x28u)
#define ISR_READY     1u
#define CR_ENABLE     1u
#define CR_START      (1u << 2)
#define CR_STOP       (1u << 4)
#define CR_CALIBRATE  (1u << 31)
#define CFGR2_QUARTER (2u << 30) /* of the bus clock: 12 MHz */
/* TIM3's update on its rising edge, the last conversion stays where one is lost, DMA round and round. */
#define CFGR1_SETTING (1u << 12 | 1u << 10 | 3u << 6 | 1u << 1 | 1u)
#define SAMPLE_28     3u /* 28.5 cycles */
#define INTERRUPT     9u

const uint32_t stm32_adc_timer = 0x40000400u;
const uint32_t stm32_adc_data = ADC + 0x40u;
const uint32_t stm32_adc_dma = 0x40020000u;

bool stm32_adc_start(const stm32_adc_board_t *board) {
    RCC_AHBENR |= AHB_DMA;
    RCC_APB2ENR |= APB2_ADC;
    RCC_APB1ENR |= APB1_TIM3;
    (void)RCC_APB1ENR; /* the clock takes two cycles to arrive */
    stm32_adc_stop();
    ADC_CFGR2 = CFGR2_QUARTER;
    if ((ADC_CR & CR_ENABLE) == 0u) {
        ADC_CFGR1 = 0u; /* calibration wants the DMA off */
        ADC_CR = CR_CALIBRATE;
        if (!stm32_wait(&ADC_CR, CR_CALIBRATE, 0u)) {
            return false;
        }
        for (volatile uint32_t spin = 0; spin < 8u;
             spin++) { /* four cycles of the converter, RM0091, 13.4.5 */
        }
        ADC_CR = CR_ENABLE;
        if (!stm32_wait(&ADC_ISR, ISR_READY, ISR_READY)) {
            return false;
        }
    }
    ADC_CFGR1 = CFGR1_SETTING;
    ADC_CHSELR = 1u << board->channel;
    ADC_SMPR = SAMPLE_28;
    ADC_CR = CR_START;
    cortex_m_put_last(INTERRUPT); /* a UART's byte does not wait for a conversion */
    cortex_m_enable_interrupt(INTERRUPT);
    return true;
}

void stm32_adc_stop(void) {
    REGISTER(stm32_adc_timer) = 0u;
    if ((ADC_CR & CR_START) != 0u) {
        ADC_CR = CR_STOP;
        (void)stm32_wait(&ADC_CR, CR_STOP, 0u);
    }
}

CORTEX_M_HANDLER(9) {
    stm32_audio_interrupt();
}
