# STM32F4 Discovery (STM32F407VG, Cortex-M4F); the same image runs on an STM32F405 and in QEMU: -machine netduinoplus2.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/stm32f4_discovery/stm32f4.c
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/stm32f4_discovery/stm32f4.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
