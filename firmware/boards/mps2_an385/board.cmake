# Arm MPS2 with image AN385 (Cortex-M3); in QEMU: -machine mps2-an385.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m3 -mthumb)
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STAPES_BOARD_SOURCES ${STAPES_BOARDS_DIR}/mps2/mps2.c ${CORTEX_M_SOURCES}
  ${STAPES_BOARDS_DIR}/common/sampled.c ${STAPES_BOARDS_DIR}/semihosting/microphone.c)
set(STAPES_BOARD_DEFINITIONS MPS2_UART=0x40004000u MPS2_TIMER=0x40000000u MPS2_WATCHDOG=0x40008000u MPS2_MHZ=25u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/mps2.ld)
