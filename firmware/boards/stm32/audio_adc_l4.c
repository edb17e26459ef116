/* ADC1 of the STM32L4 (RM0351: 18.4.6 power, 18.4.8 calibration, table 108 triggers, 18.7 registers; 8.5.12
 * analogue switch), started by TIM6 (33.4). */
#include "stm32/microphone.h"

#define RCC_AHB1ENR  REGISTER(RCC + 0x48u)
#define RCC_AHB2ENR  REGISTER(RCC + 0x4Cu)
#define RCC_APB1ENR1 REGISTER(RCC + 0x58u)
#define AHB1_DMA1    1u
#define AHB2_ADC     (1u << 13)
#define APB1_TIM6    (1u << 4)

#define ADC1              0x50040000u
#define ADC_ISR           REGISTER(ADC1 + 0x00u)
#define ADC_CR            REGISTER(ADC1 + 0x08u)
#define ADC_CFGR          REGISTER(ADC1 + 0x0Cu)
#define ADC_SMPR(channel) REGISTER(ADC1 + 0x14u + (channel) / 10u * 4u)
#define ADC_SQR1          REGISTER(ADC1 + 0x30u)
#define ADC_CCR           REGISTER(ADC1 + 0x308u)
#define ISR_READY         1u
#define CR_ENABLE         1u
#define CR_START          (1u << 2)
#define CR_STOP           (1u << 4)
#define CR_REGULATOR      (1u << 28)
#define CR_CALIBRATE      (1u << 31)
#define CCR_HALF_AHB      (2u << 16)
/* TIM6's update on its rising edge, the last conversion stays where one is lost, DMA round and round. */
#define CFGR_SETTING (1u << 12 | 1u << 10 | 13u << 6 | 1u << 1 | 1u)
#define SAMPLE_47    4u /* 47.5 cycles of 40 MHz */
#define ASCR(pin)    REGISTER(GPIO + 0x400u * ((uint32_t)(pin).port - 'A') + 0x2Cu)
#define INTERRUPT    11u

#define REGULATOR_SPINS 2000u /* more than 20 us at 80 MHz */

const uint32_t stm32_adc_timer = 0x40001000u;
const uint32_t stm32_adc_data = ADC1 + 0x40u;
const uint32_t stm32_adc_dma = 0x40020000u;

bool stm32_adc_start(const stm32_adc_board_t *board) {
    RCC_AHB1ENR |= AHB1_DMA1;
    RCC_AHB2ENR |= AHB2_ADC;
    RCC_APB1ENR1 |= APB1_TIM6;
    (void)RCC_APB1ENR1; /* the clock takes two cycles to arrive */
    stm32_adc_stop();
    ASCR(board->pin) |= 1u << board->pin.number;
    ADC_CCR = CCR_HALF_AHB;
    if ((ADC_CR & CR_ENABLE) == 0u) {
        ADC_CR = 0u; /* out of deep power-down */
        ADC_CR = CR_REGULATOR;
        for (volatile uint32_t spin = 0; spin < REGULATOR_SPINS; spin++) {
        }
        ADC_CR = CR_REGULATOR | CR_CALIBRATE;
        if (!stm32_wait(&ADC_CR, CR_CALIBRATE, 0u)) {
            return false;
        }
        for (volatile uint32_t spin = 0; spin < 8u;
             spin++) { /* four cycles of the converter, RM0351, 18.4.8 */
        }
        ADC_CR = CR_REGULATOR | CR_ENABLE;
        if (!stm32_wait(&ADC_ISR, ISR_READY, ISR_READY)) {
            return false;
        }
    }
    ADC_CFGR = CFGR_SETTING;
    ADC_SQR1 = board->channel << 6;
    ADC_SMPR(board->channel) = SAMPLE_47 << board->channel % 10u * 3u;
    ADC_CR = CR_REGULATOR | CR_START; /* ones of the others would change something, zeros do not */
    cortex_m_put_last(INTERRUPT);     /* a UART's byte does not wait for a conversion */
    cortex_m_enable_interrupt(INTERRUPT);
    return true;
}

void stm32_adc_stop(void) {
    REGISTER(stm32_adc_timer) = 0u;
    if ((ADC_CR & CR_START) != 0u) {
        ADC_CR = CR_REGULATOR | CR_STOP;
        (void)stm32_wait(&ADC_CR, CR_STOP, 0u);
    }
}

CORTEX_M_HANDLER(11) {
    stm32_audio_interrupt();
}
