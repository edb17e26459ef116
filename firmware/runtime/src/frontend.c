#include "stapes/frontend.h"

#include <string.h>

#include "frontend_math.h"
#include "stapes/error.h"

/* Copies upwards; `to` may be below `from` in the same array. Where it is long, once in flash for both who
 * call it. */
#if STAPES_ARM_BLOCKS
__attribute__((noinline))
#endif
static void
copy_samples(int16_t *to, const int16_t *from, size_t count) {
#if STAPES_ARM_BLOCKS
    if (((uintptr_t)to | (uintptr_t)from) % 4 == 0) {
        for (; count >= 8; count -= 8) {
            __asm__ volatile("ldmia %0!, {r3-r6}\n"
                             "stmia %1!, {r3-r6}"
                             : "+r"(from), "+r"(to)
                             :
                             : "r3", "r4", "r5", "r6", "memory");
        }
    }
#endif
    memmove(to, from, count * sizeof *to);
}

int stapes_frontend_init(stapes_frontend_t *frontend, const stapes_frontend_tables_t *tables, void *memory,
                         size_t bytes) {
    if (frontend == NULL || tables == NULL || memory == NULL) {
        return STAPES_E_ARGUMENT;
    }
    if (bytes < STAPES_FRONTEND_MEMORY(tables->frame_length, tables->bins) || (uintptr_t)memory % 8 != 0) {
        return STAPES_E_MEMORY;
    }
    frontend->tables = tables;
    frontend->bins = memory;
    frontend->mel = &frontend->bins[tables->mel_place].power;
    frontend->frame = (int16_t *)(void *)(frontend->bins + tables->bins);
    return stapes_frontend_reset(frontend);
}

int stapes_frontend_reset(stapes_frontend_t *frontend) {
    if (frontend == NULL) {
        return STAPES_E_ARGUMENT;
    }
    if (frontend->tables == NULL) {
        return STAPES_E_STATE;
    }
    frontend->filled = 0;
    frontend->previous = 0;
    frontend->started = 0;
    return STAPES_OK;
}

int stapes_frontend_push(stapes_frontend_t *frontend, const int16_t *pcm, size_t count, size_t *consumed,
                         int8_t *row) {
    if (frontend == NULL || consumed == NULL || row == NULL || (pcm == NULL && count != 0)) {
        return STAPES_E_ARGUMENT;
    }
    const stapes_frontend_tables_t *tables = frontend->tables;
    if (tables == NULL) {
        return STAPES_E_STATE;
    }
    size_t missing = (size_t)tables->frame_length - frontend->filled;
    size_t taken = count < missing ? count : missing;
    copy_samples(frontend->frame + frontend->filled, pcm, taken);
    *consumed = taken;
    frontend->filled = (uint16_t)(frontend->filled + taken);
    if (taken < missing) {
        return 0;
    }
    tables->make_row(frontend, row);
    frontend->previous = frontend->frame[tables->hop_length - 1];
    frontend->filled = (uint16_t)(tables->frame_length - tables->hop_length);
    copy_samples(frontend->frame, frontend->frame + tables->hop_length, frontend->filled);
    return 1;
}
