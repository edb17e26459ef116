/* Rows of the generated front end for the 16-bit samples on stdin. Argument 1: samples a push, or 0 for a
 * changing number. */
#include <stdio.h>
#include <stdlib.h>

#include "stapes_app_frontend.h"

static int16_t pcm[1 << 20];
static uint64_t memory[STAPES_APP_FRONTEND_MEMORY_BYTES / 8 + 1];

int main(int count, char **arguments) {
    stapes_frontend_t frontend;
    size_t samples = fread(pcm, sizeof pcm[0], sizeof pcm / sizeof pcm[0], stdin);
    size_t chunk = count > 1 ? (size_t)atoi(arguments[1]) : 1000;
    uint32_t random = 1;
    size_t at = 0;
    if (stapes_frontend_init(&frontend, &stapes_app_frontend, memory, STAPES_APP_FRONTEND_MEMORY_BYTES) !=
        0) {
        return 2;
    }
    while (at < samples) {
        int8_t row[STAPES_APP_FRONTEND_ROW_BYTES];
        size_t consumed;
        random = random * 1664525u + 1013904223u;
        size_t offered = chunk != 0 ? chunk : random >> 22;
        offered = offered < samples - at ? offered : samples - at;
        int result = stapes_frontend_push(&frontend, pcm + at, offered, &consumed, row);
        if (result < 0 || consumed > offered) {
            return 3;
        }
        at += consumed;
        if (result == 1) {
            fwrite(row, 1, sizeof row, stdout);
        }
    }
    return 0;
}
