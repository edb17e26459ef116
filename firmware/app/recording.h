/* The board's microphone as it is, sample by sample over the link: the messages RECORD and SAMPLES. */
#ifndef STAPES_RECORDING_H
#define STAPES_RECORDING_H

#include "audio.h"
#include "crc32.h"
#include "stapes/error.h"
#include "wire.h"

#define RECORDING_CHUNK 64u

typedef struct {
    const stapes_audio_t *audio; /* that is recorded, NULL: none */
    uint64_t position;           /* of the next sample to send, since the start */
    uint32_t dropped;            /* samples lost before those in `pcm` */
    uint32_t gap;                /* of these, what is not in `position` yet */
    uint32_t crc;                /* of all samples sent */
    size_t held;                 /* samples in `pcm`, read and not yet sent */
    int16_t pcm[RECORDING_CHUNK];
} recording_t;

static inline void recording_stop(recording_t *recording) {
    if (recording->audio != NULL) {
        recording->audio->stop(recording->audio->context);
    }
    *recording = (recording_t){0};
}

/* Answers RECORD. */
static inline int recording_start(recording_t *recording, const uint8_t *payload, size_t length,
                                  uint8_t *answer) {
    const wire_record_request_t *request = (const wire_record_request_t *)payload;
    wire_record_answer_t *started = (wire_record_answer_t *)answer;
    if (length != sizeof *request) {
        return STAPES_E_MESSAGE;
    }
    recording_stop(recording);
    const uint32_t sample_rate = stapes_get_u32(request->sample_rate);
    const stapes_audio_t *audio = board_audio();
    uint32_t gain = 0;
    if (sample_rate != 0u) {
        if (audio == NULL) {
            return STAPES_E_STATE;
        }
        const int error = audio->start(audio->context, sample_rate);
        if (error != STAPES_OK) {
            return error;
        }
        recording->audio = audio;
        gain = audio->gain(audio->context);
    }
    STAPES_PUT(started->sample_rate, sample_rate);
    STAPES_PUT(started->gain, gain);
    return (int)sizeof *started;
}

/* Reads on, when all that was read is sent; false: nothing waits. */
static inline int recording_hold(recording_t *recording) {
    if (recording->held == 0u) {
        const stapes_audio_t *audio = recording->audio;
        recording->held = audio->read(audio->context, recording->pcm, RECORDING_CHUNK);
        if (recording->held != 0u) {
            const uint32_t dropped = audio->dropped(audio->context);
            recording->gap = dropped - recording->dropped;
            recording->dropped = dropped;
        }
    }
    return recording->held != 0u;
}

/* Answers SAMPLES: those that wait, up to the next gap. */
static inline int recording_take(recording_t *recording, uint8_t *answer, size_t capacity) {
    wire_samples_answer_t *taken = (wire_samples_answer_t *)answer;
    const size_t most = (capacity - sizeof *taken) / 2u;
    size_t count = 0;
    if (recording->audio == NULL) {
        return STAPES_E_STATE;
    }
    while (most - count >= RECORDING_CHUNK && recording_hold(recording)) {
        if (recording->gap != 0u) {
            if (count != 0u) {
                break;
            }
            recording->position += recording->gap;
            recording->gap = 0u;
        }
        for (size_t i = 0; i < recording->held; i++) {
            stapes_put_u16(taken->pcm + 2u * (count + i), (uint16_t)recording->pcm[i]);
        }
        count += recording->held;
        recording->held = 0u;
    }
    recording->crc = stapes_crc32(recording->crc, taken->pcm, 2u * count);
    STAPES_PUT(taken->position, recording->position);
    STAPES_PUT(taken->crc, recording->crc);
    recording->position += count;
    return (int)(sizeof *taken + 2u * count);
}

#endif
