# Arm MPS2 with image AN385 (Cortex-M3); in QEMU: -machine mps2-an385.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m3 -mthumb)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/mps2/mps2.c
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/cortex_m/semihosting.c)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/mps2.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
