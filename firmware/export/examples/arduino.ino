// Tests whether this board computes what Python computed, and says what it can tell apart.
#include <stapes_selftest.h>

static stapes_classifier_t classifier;

void setup() {
    Serial.begin(115200);
    int error = stapes_classifier_init(&classifier);
    if (error != STAPES_OK) {
        Serial.println(stapes_error_text(error));
        return;
    }
    for (int i = 0; i < STAPES_LABEL_COUNT; i++) {
        Serial.println(stapes_labels[i]);
    }
    bool equal = stapes_selftest(&classifier) == 1;
    Serial.println(equal ? "self-test: every score is equal" : "self-test: DIFFERENT from the reference");
}

// Here a program of yours would push samples from a microphone: see stapes_classifier.h.
void loop() {
    delay(1000);
}
