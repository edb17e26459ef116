# QEMU's Xtensa simulator: qemu-system-xtensa -machine sim -cpu lx106. The core of an ESP8266, call0 ABI.
set(STAPES_TOOLCHAIN xtensa-lx106-elf)
# Debian puts the C library's description where this compiler does not look. Literals lie in the sections of their code.
find_file(STAPES_XTENSA_SPECS picolibc.specs PATHS /usr/lib/xtensa-lx106-elf NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(NOT STAPES_XTENSA_SPECS)
  message(FATAL_ERROR "no picolibc for Xtensa (Debian: picolibc-xtensa-lx106-elf)")
endif()
set(STAPES_CPU_FLAGS -mtext-section-literals --specs=${STAPES_XTENSA_SPECS})
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/xtensa_sim/rom.c
  ${STAPES_BOARDS_DIR}/xtensa_sim/sim.c
  ${STAPES_BOARDS_DIR}/common/fault.c
  ${STAPES_BOARDS_DIR}/common/startup.c)
set(STAPES_LINKER_SCRIPT ${STAPES_BOARDS_DIR}/xtensa_sim/sim.ld)
set(STAPES_LINK_FLAGS -nostartfiles)
