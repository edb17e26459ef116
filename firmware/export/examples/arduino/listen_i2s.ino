// Listens for ever: an I2S microphone (INMP441 or its like, L/R at GND) at an ESP32 in, events out. For the esp32
// core 3, whose class is in ESP_I2S.h.
#include <Arduino.h>
#include <ESP_I2S.h>
#include <stapes_app.h>
#include <stapes_audio/i2s.h>

static const int PIN_SCK = 4, PIN_WS = 5, PIN_SD = 6;
static const uint32_t SLOTS = 2;                     // left, the microphone's, and right
static const uint32_t GAIN = 16u * STAPES_GAIN_ONE;  // these microphones are quiet
static const size_t FRAMES = 256;

static uint64_t memory[(STAPES_APP_LIVE_MEMORY_BYTES + 7u) / 8u];
static stapes_live_t live;
static I2SClass microphone;
static stapes_i2s_t converter;
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

void setup() {
    Serial.begin(115200);
    error = stapes_live_init(&live, &stapes_app, memory, sizeof memory, on_event, NULL);
    if (error == STAPES_OK) {
        error = stapes_i2s_init(&converter, SLOTS, 0, 0, GAIN);
    }
    microphone.setPins(PIN_SCK, PIN_WS, -1, PIN_SD);
    if (error == STAPES_OK &&
        !microphone.begin(I2S_MODE_STD, STAPES_APP_SAMPLE_RATE, I2S_DATA_BIT_WIDTH_32BIT, I2S_SLOT_MODE_STEREO)) {
        error = STAPES_E_HARDWARE;
    }
}

// Waits for samples. The driver keeps 90 ms at 16 kHz: be back by then, it does not tell what it lost.
void loop() {
    if (error != STAPES_OK) {
        Serial.println(stapes_error_text(error));
        delay(1000);
        return;
    }
    static uint32_t words[FRAMES * SLOTS];
    static int16_t pcm[FRAMES];
    size_t frames = microphone.readBytes((char *)words, sizeof words) / (SLOTS * sizeof words[0]);
    stapes_i2s_push(&converter, words, frames, pcm);
    error = stapes_live_push(&live, pcm, frames);
}
