# Toolchain: the GNU compiler for bare-metal Xtensa LX106 (Debian: gcc-xtensa-lx106, picolibc-xtensa-lx106-elf).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR xtensa)
set(CMAKE_C_COMPILER xtensa-lx106-elf-gcc)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
