# ESP32-C3 (RV32IMC, 160 MHz, 400 KiB SRAM), e.g. ESP32-C3-DevKitM-1. The ROM loads the image into SRAM, no bootloader.
set(STAPES_TOOLCHAIN riscv64-unknown-elf)
set(STAPES_CPU_FLAGS -march=rv32imc -mabi=ilp32 --specs=picolibc.specs)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/esp32c3/esp32c3.c
  ${STAPES_BOARDS_DIR}/esp32c3/clock.c
  ${STAPES_BOARDS_DIR}/esp32c3/line.c
  ${STAPES_BOARDS_DIR}/riscv/riscv.c
  ${STAPES_BOARDS_DIR}/common/fault.c
  ${STAPES_BOARDS_DIR}/common/startup.c)
# More than one frame of the link.
set(STAPES_BOARD_DEFINITIONS STAPES_UART_RING=4096u)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/esp32c3/esp32c3.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
