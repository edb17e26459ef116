# NUCLEO-F446RE (STM32F446RE, Cortex-M4F).
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(STM32_FAMILY f4)
set(STM32_CLOCK f4_f7)
include(${STAPES_BOARDS_DIR}/stm32/stm32.cmake)
list(APPEND STAPES_BOARD_DEFINITIONS CORTEX_M_INTERRUPTS_BY_TEN=10)
set(STM32_MICROPHONE i2s)
include(${STAPES_BOARDS_DIR}/stm32/audio.cmake)
