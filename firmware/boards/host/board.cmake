# The same firmware as a program for the machine at hand; its UART is a pseudo-terminal.
set(STAPES_TOOLCHAIN host)
set(STAPES_BOARD_SOURCES
  ${STAPES_BOARDS_DIR}/host/host.c ${STAPES_BOARDS_DIR}/host/microphone.c ${STAPES_BOARDS_DIR}/common/sampled.c)
# Not what a board is built with, but one waits for it; a check of clips is mostly this program.
# At fixed addresses, constants that hold pointers (the bundle, the network) lie with all others, and the self-test tests
# them too.
set(STAPES_CPU_FLAGS -O3 -fno-pie)
set(STAPES_LINK_FLAGS -no-pie)
set(STAPES_HOST_PAYLOAD 8192u CACHE STRING "longest payload of a message; tests build with shorter ones")
set(STAPES_BOARD_DEFINITIONS STAPES_LINK_PAYLOAD=${STAPES_HOST_PAYLOAD})
