// Listens for ever: the board's own PDM microphone in, events out. For boards whose core has a PDM class: Nano 33
// BLE Sense, Nano RP2040 Connect, Nicla, Portenta with a shield, GIGA with a shield.
#include <Arduino.h>
#include <PDM.h>
#include <stapes_app.h>
#include <stapes_audio/audio.h>

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;
static stapes_ring_t ring;
static int16_t waiting[4096];  // a power of two: how long loop() may be away
static uint32_t dropped;
static int error;

// Here your program reacts. Times are in samples since the start.
static void on_event(void *, const stapes_live_event_t *event) {
    if (event->kind == STAPES_LIVE_LEVEL) {
        return;  // how loud it was
    }
    const char *what = event->class_index >= 0 ? stapes_app.labels[event->class_index] : "lost";
    Serial.print((double)event->start / STAPES_APP_SAMPLE_RATE, 3);
    if (event->kind == STAPES_LIVE_BEGIN) {
        Serial.print(" s: ");
        Serial.print(what);
        Serial.println(" begins");
        return;
    }
    Serial.print(" to ");
    Serial.print((double)event->end / STAPES_APP_SAMPLE_RATE, 3);
    Serial.print(" s: ");
    Serial.println(what);
}

// An interrupt: takes the samples out of the driver's buffer.
static void on_samples() {
    static int16_t pcm[256];
    int bytes;
    while ((bytes = PDM.read(pcm, sizeof pcm)) > 0) {
        stapes_ring_write(&ring, pcm, (size_t)bytes / sizeof pcm[0]);
    }
}

void setup() {
    Serial.begin(115200);
    error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    if (error == STAPES_OK) {
        error = stapes_ring_init(&ring, waiting, sizeof waiting / sizeof waiting[0]);
    }
    PDM.onReceive(on_samples);
    if (error == STAPES_OK && !PDM.begin(1, STAPES_APP_SAMPLE_RATE)) {
        error = STAPES_E_HARDWARE;
    }
}

void loop() {
    if (error != STAPES_OK) {
        Serial.println(stapes_error_text(error));
        delay(1000);
        return;
    }
    int16_t pcm[128];
    size_t count = stapes_ring_read(&ring, pcm, sizeof pcm / sizeof pcm[0]);
    uint32_t lost = stapes_ring_dropped(&ring) - dropped;
    dropped += lost;
    error = stapes_live_lose(&live, lost);
    if (error == STAPES_OK) {
        error = stapes_live_push(&live, pcm, count);
    }
}
