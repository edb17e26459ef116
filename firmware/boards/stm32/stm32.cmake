# What every STM32 board takes along. Before: STM32_FAMILY (f4: stm32/f4.h) and STM32_CLOCK (f4_f7: stm32/clock_f4_f7.c);
# the folder has board.c and memory.ld. STM32_USB (f4) where the chip's own USB may be the line, with -DSTAPES_TINYUSB=DIR.
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STM32_GPIO gpio)
if(STM32_FAMILY STREQUAL "f1")
  set(STM32_GPIO gpio_f1)
endif()
set(STM32_LINE ${STAPES_BOARDS_DIR}/stm32/uart.c)
set(STM32_LINE_DEFINITIONS "")
if(STAPES_TINYUSB)
  if(NOT STM32_USB)
    message(FATAL_ERROR "${STAPES_BOARD} has no line over USB: leave STAPES_TINYUSB out")
  endif()
  set(STM32_TINYUSB
    ${STAPES_TINYUSB}/src/tusb.c
    ${STAPES_TINYUSB}/src/common/tusb_fifo.c
    ${STAPES_TINYUSB}/src/device/usbd.c
    ${STAPES_TINYUSB}/src/class/cdc/cdc_device.c
    ${STAPES_TINYUSB}/src/portable/synopsys/dwc2/dcd_dwc2.c
    ${STAPES_TINYUSB}/src/portable/synopsys/dwc2/dwc2_common.c)
  set_source_files_properties(${STM32_TINYUSB} PROPERTIES COMPILE_OPTIONS "-w;-Os") # its warnings are its own
  set(STM32_LINE ${STAPES_BOARDS_DIR}/stm32/usb_cdc.c ${STM32_TINYUSB})
  include_directories(${STAPES_BOARDS_DIR}/stm32/tinyusb)
  include_directories(SYSTEM ${STAPES_TINYUSB}/src)
  string(TOUPPER ${STM32_USB} STM32_LINE_DEFINITIONS)
  set(STM32_LINE_DEFINITIONS CFG_TUSB_MCU=OPT_MCU_STM32${STM32_LINE_DEFINITIONS})
endif()
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/${STAPES_BOARD}/board.c
  ${STAPES_BOARDS_DIR}/stm32/stm32.c
  ${STAPES_BOARDS_DIR}/stm32/common.c
  ${STAPES_BOARDS_DIR}/stm32/clock_${STM32_CLOCK}.c
  ${STAPES_BOARDS_DIR}/stm32/${STM32_GPIO}.c
  ${STM32_LINE}
  ${CORTEX_M_SOURCES})
set(STAPES_BOARD_DEFINITIONS STM32_FAMILY="stm32/${STM32_FAMILY}.h" ${STM32_LINE_DEFINITIONS})
if(STAPES_APP MATCHES "^bench_")
  list(APPEND STAPES_BOARD_DEFINITIONS STAPES_UART_RING=16u) # hears one byte
endif()
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/${STAPES_BOARD}/memory.ld)
