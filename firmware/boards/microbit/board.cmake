# BBC micro:bit version 1 (nRF51822, Cortex-M0, 16 KiB RAM); in QEMU: -machine microbit.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m0 -mthumb -masm-syntax-unified)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/microbit/nrf51.c
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
set(STAPES_BOARD_DEFINITIONS STAPES_LINK_PAYLOAD=256u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/microbit/nrf51.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
