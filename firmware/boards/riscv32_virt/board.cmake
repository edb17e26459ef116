# QEMU's RISC-V board: qemu-system-riscv32 -machine virt -bios none. The same sources as for an ESP32-C3 (RV32IMC).
set(STAPES_TOOLCHAIN riscv64-unknown-elf)
set(STAPES_CPU_FLAGS -march=rv32imc -mabi=ilp32 --specs=picolibc.specs)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/riscv32_virt/virt.c
  ${STAPES_BOARDS_DIR}/riscv/riscv.c
  ${STAPES_BOARDS_DIR}/common/fault.c
  ${STAPES_BOARDS_DIR}/common/startup.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/riscv32_virt/virt.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
