# What every Cortex-M board takes along.
set(STAPES_LINK_FLAGS -nostartfiles)
set(CORTEX_M_SOURCES
  ${STAPES_BOARDS_DIR}/cortex_m/cortex_m.c
  ${STAPES_BOARDS_DIR}/cortex_m/vectors.c
  ${STAPES_BOARDS_DIR}/common/fault.c
  ${STAPES_BOARDS_DIR}/common/startup.c
  ${STAPES_BOARDS_DIR}/semihosting/line.c
  ${STAPES_BOARDS_DIR}/semihosting/semihosting.c)
