# NUCLEO-L552ZE-Q (STM32L552ZE, Cortex-M33 without TrustZone).
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(STM32_FAMILY l5)
set(STM32_CLOCK l4_l5)
include(${STAPES_BOARDS_DIR}/stm32/stm32.cmake)
list(APPEND STAPES_BOARD_DEFINITIONS CORTEX_M_INTERRUPTS_BY_TEN=11)
