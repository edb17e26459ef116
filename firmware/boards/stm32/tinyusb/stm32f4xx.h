/* What TinyUSB's driver asks of the vendor's header (RM0090: 2.3 memory map, table 62 vectors, 34.1), so that
 * TinyUSB is all there is to fetch. */
#ifndef STAPES_STM32F4XX_H
#define STAPES_STM32F4XX_H

#include "stm32/stm32.h"

#define USB_OTG_FS_PERIPH_BASE      0x50000000u
#define USB_OTG_FS_MAX_IN_ENDPOINTS 4u

typedef enum { OTG_FS_IRQn = 67 } IRQn_Type;

#define NVIC_EnableIRQ(number)  cortex_m_enable_interrupt((uint32_t)(number))
#define NVIC_DisableIRQ(number) cortex_m_disable_interrupt((uint32_t)(number))
#define SystemCoreClock         (stm32_board.core_mhz * 1000000u)
#define __NOP()                 __asm volatile("nop")

#endif
