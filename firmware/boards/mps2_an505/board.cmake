# Arm MPS2 with image AN505 (Cortex-M33, secure state); in QEMU: -machine mps2-an505.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16)
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STAPES_BOARD_SOURCES ${STAPES_BOARDS_DIR}/mps2/mps2.c ${CORTEX_M_SOURCES}
  ${STAPES_BOARDS_DIR}/common/sampled.c ${STAPES_BOARDS_DIR}/semihosting/microphone.c)
set(STAPES_BOARD_DEFINITIONS MPS2_UART=0x50200000u MPS2_TIMER=0x50000000u MPS2_WATCHDOG=0x50081000u MPS2_MHZ=20u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/mps2/an505.ld)
