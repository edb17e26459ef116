# BBC micro:bit version 1 (nRF51822, Cortex-M0, 16 KiB RAM); in QEMU: -machine microbit.
set(STAPES_TOOLCHAIN arm-none-eabi)
set(STAPES_CPU_FLAGS -mcpu=cortex-m0 -mthumb -masm-syntax-unified)
include(${STAPES_BOARDS_DIR}/cortex_m/cortex_m.cmake)
set(STAPES_BOARD_SOURCES ${STAPES_BOARDS_DIR}/microbit/nrf51.c ${CORTEX_M_SOURCES})
set(STAPES_BOARD_DEFINITIONS STAPES_LINK_PAYLOAD=256u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/microbit/nrf51.ld)
