# Arm MPS2 with image AN505 (Cortex-M33, secure state); in QEMU: -machine mps2-an505.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/mps2/mps2.c
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
set(STAPES_BOARD_DEFINITIONS MPS2_UART=0x50200000u MPS2_TIMER=0x50000000u MPS2_MHZ=20u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/an505.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
