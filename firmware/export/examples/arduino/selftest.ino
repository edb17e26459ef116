// Tests whether this board computes what Python computed, and says what it can tell apart.
#include <stapes_app.h>

static uint64_t memory[(STAPES_APP_MEMORY_BYTES + 7u) / 8u];
static stapes_classifier_t classifier;

void setup() {
    Serial.begin(115200);
    for (int i = 0; i < STAPES_APP_CLASSES; i++) {
        Serial.println(stapes_app.labels[i]);
    }
    int result = stapes_selftest_run(&stapes_app_selftest, &classifier, memory, sizeof memory);
    if (result < 0) {
        Serial.println(stapes_error_text(result));
        return;
    }
    Serial.println(result ? "self-test: every score is equal" : "self-test: DIFFERENT from the reference");
}

// Here a program of yours would push samples from a microphone: see stapes/classifier.h.
void loop() {
    delay(1000);
}
