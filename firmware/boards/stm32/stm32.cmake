# What every STM32 board takes along. Before: STM32_FAMILY (f4: stm32/f4.h) and STM32_CLOCK (f4_f7: stm32/clock_f4_f7.c);
# the folder has board.c and memory.ld.
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STM32_GPIO gpio)
if(STM32_FAMILY STREQUAL "f1")
  set(STM32_GPIO gpio_f1)
endif()
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/${STAPES_BOARD}/board.c
  ${STAPES_BOARDS_DIR}/stm32/stm32.c
  ${STAPES_BOARDS_DIR}/stm32/common.c
  ${STAPES_BOARDS_DIR}/stm32/clock_${STM32_CLOCK}.c
  ${STAPES_BOARDS_DIR}/stm32/${STM32_GPIO}.c
  ${STAPES_BOARDS_DIR}/stm32/uart.c
  ${CORTEX_M_SOURCES})
set(STAPES_BOARD_DEFINITIONS STM32_FAMILY="stm32/${STM32_FAMILY}.h")
if(STAPES_APP MATCHES "^bench_")
  list(APPEND STAPES_BOARD_DEFINITIONS STAPES_UART_RING=16u) # hears one byte
endif()
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/${STAPES_BOARD}/memory.ld)
