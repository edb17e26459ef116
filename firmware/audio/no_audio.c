/* A board without a source of its own; a driver's definition replaces this one. */
#include "audio.h"

__attribute__((weak)) const stapes_audio_t *board_audio(void) {
    return NULL;
}
