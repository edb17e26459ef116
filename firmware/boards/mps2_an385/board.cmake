# Arm MPS2 with image AN385 (Cortex-M3); in QEMU: -machine mps2-an385.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m3 -mthumb)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/mps2/mps2.c
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
set(STAPES_BOARD_DEFINITIONS MPS2_UART=0x40004000u MPS2_TIMER=0x40000000u MPS2_MHZ=25u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/mps2.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
