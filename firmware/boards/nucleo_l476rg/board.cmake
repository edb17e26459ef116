# NUCLEO-L476RG (STM32L476RG, Cortex-M4F).
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(STM32_FAMILY l4)
set(STM32_CLOCK l4_l5)
include(${STAPES_BOARDS_DIR}/stm32/stm32.cmake)
list(APPEND STAPES_BOARD_DEFINITIONS CORTEX_M_INTERRUPTS_BY_TEN=9)
set(STM32_MICROPHONE adc_l4)
include(${STAPES_BOARDS_DIR}/stm32/audio.cmake)
