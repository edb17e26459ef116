// Tests whether this device computes what Python computed, on an Arduino board or on this computer.
#include <stapes_app.h>

static uint64_t memory[(STAPES_APP_MEMORY_BYTES + 7u) / 8u];
static stapes_classifier_t classifier;

static bool passes() {
    return stapes_selftest_run(&stapes_app_selftest, &classifier, memory, sizeof memory) == 1;
}

#ifdef ARDUINO
#include <Arduino.h>

void setup() {
    Serial.begin(115200);
    Serial.println(passes() ? "self-test: every score is equal" : "self-test: DIFFERENT from the reference");
}

void loop() {
    delay(1000);
}
#else
#include <cstdio>

int main() {
    bool equal = passes();
    std::puts(equal ? "self-test: every score is equal" : "self-test: DIFFERENT from the reference");
    return equal ? 0 : 1;
}
#endif
