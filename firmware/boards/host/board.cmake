# The same firmware as a program for the machine at hand; its UART is a pseudo-terminal.
set(STAPES_TOOLCHAIN host)
set(STAPES_BOARD_SOURCES ${STAPES_BOARDS_DIR}/host/host.c)
