# Arm MPS3 with image AN547 (Cortex-M55 with MVE, secure state); in QEMU: -machine mps3-an547.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m55 -mthumb -mfloat-abi=hard)
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STAPES_BOARD_SOURCES ${STAPES_BOARDS_DIR}/mps2/mps2.c ${CORTEX_M_SOURCES}
  ${STAPES_BOARDS_DIR}/common/sampled.c ${STAPES_BOARDS_DIR}/semihosting/microphone.c)
set(STAPES_BOARD_DEFINITIONS MPS2_UART=0x59303000u MPS2_TIMER=0u MPS2_WATCHDOG=0u MPS2_MHZ=32u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/an547.ld)
