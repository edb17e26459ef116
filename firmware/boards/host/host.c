/* The host as a board: the UART is a pseudo-terminal whose name is the first line of standard output. The
   counter is the monotonic clock in nanoseconds. A reset starts the program file again on the same
   pseudo-terminal. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 600

#include "board.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#define IDLE_MS   20                 /* longest wait for a byte in board_read */
#define INHERITED "STAPES_HOST_LINE" /* the open pseudo-terminal, after a reset */
#define BUFFER    4096u              /* bytes that a pseudo-terminal gives at once */

static const stapes_board_info_t info = {
    STAPES_BOARD_NAME, STAPES_COUNTER_NANOSECONDS, 1u, 1u, 1000000000u, 0u};
static int line = -1;

/* The line is read and written by few system calls: they cost a check more than many a layer. What was read
   waits in `heard`; what is said waits in `said` until the program listens, ends or has filled it. */
static uint8_t heard[BUFFER], said[BUFFER];
static size_t heard_first, heard_end, said_end;

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static void make_raw(int descriptor) {
    struct termios settings;
    if (tcgetattr(descriptor, &settings) == 0) {
        settings.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
        settings.c_oflag &= (tcflag_t)~OPOST;
        settings.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        settings.c_cc[VMIN] = 1;
        settings.c_cc[VTIME] = 0;
        (void)tcsetattr(descriptor, TCSANOW, &settings);
    }
}

void board_init(void) {
    const char *inherited = getenv(INHERITED);
    if (inherited != NULL) {
        line = atoi(inherited);
        return;
    }
    line = posix_openpt(O_RDWR | O_NOCTTY);
    if (line < 0 || grantpt(line) != 0 || unlockpt(line) != 0) {
        fail("pseudo-terminal");
    }
    /* Holding the other end open keeps the line alive while nobody is connected. */
    int other = open(ptsname(line), O_RDWR | O_NOCTTY);
    if (other < 0) {
        fail("pseudo-terminal");
    }
    make_raw(other);
    printf("%s\n", ptsname(line));
    (void)fflush(stdout);
}

const stapes_board_info_t *board_info(void) {
    return &info;
}

static void flush(void) {
    const uint8_t *bytes = said;
    size_t left = said_end;
    said_end = 0;
    while (left > 0) {
        struct pollfd ready = {line, POLLOUT, 0};
        if (poll(&ready, 1, 1000) <= 0) {
            return; /* nobody reads: drop, as a UART does */
        }
        ssize_t written = write(line, bytes, left);
        if (written <= 0) {
            return;
        }
        bytes += written;
        left -= (size_t)written;
    }
}

size_t board_read(uint8_t *bytes, size_t capacity) {
    if (heard_first == heard_end) {
        flush();
        struct pollfd waiting = {line, POLLIN, 0};
        if (poll(&waiting, 1, IDLE_MS) <= 0) {
            return 0;
        }
        ssize_t count = read(line, heard, sizeof heard);
        if (count <= 0) {
            exit(0); /* the other end is gone for good */
        }
        heard_first = 0;
        heard_end = (size_t)count;
    }
    size_t count = heard_end - heard_first < capacity ? heard_end - heard_first : capacity;
    memcpy(bytes, heard + heard_first, count);
    heard_first += count;
    return count;
}

void board_write(const uint8_t *bytes, size_t count) {
    while (count > 0) {
        if (said_end == sizeof said) {
            flush();
        }
        size_t part = sizeof said - said_end < count ? sizeof said - said_end : count;
        memcpy(said + said_end, bytes, part);
        said_end += part;
        bytes += part;
        count -= part;
    }
}

void board_set_baud(uint32_t baud) {
    (void)baud;
}

uint32_t board_ticks(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
}

uint32_t board_stack_high_water(void) {
    return 0;
}

void board_reset(void) {
    static char program[4096];
    char number[16];
#if defined(__APPLE__)
    uint32_t size = sizeof program;
    ssize_t length = _NSGetExecutablePath(program, &size) == 0 ? 1 : -1;
#else
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
#endif
    flush();
    (void)snprintf(number, sizeof number, "%d", line);
    if (length > 0 && setenv(INHERITED, number, 1) == 0) {
        (void)execl(program, program, (char *)NULL);
    }
    fail("restart");
}

void board_exit(int status) {
    flush();
    exit(status);
}
