/* An Arduino core on a computer; the file of wav.h is what its microphones hear. */
#include <Arduino.h>
#include <ESP_I2S.h>
#include <PDM.h>
#include <stdio.h>
#include <string.h>

#include "../wav.h"

Stream Serial;
PDMClass PDM;
static void (*on_receive)(void);
static int16_t driver[256]; /* as large as ArduinoCore-mbed's */
static size_t filled;

size_t Print::print(const char text[]) { return (size_t)printf("%s", text); }
size_t Print::print(double value, int digits) { return (size_t)printf("%.*f", digits, value); }
size_t Print::println(const char text[]) { return (size_t)printf("%s\n", text); }
void Stream::begin(unsigned long baud) { (void)baud; }
void delay(unsigned long milliseconds) { (void)milliseconds; exit(1); /* an error was told */ }

int PDMClass::begin(int channels, int sampleRate) { return channels == 1 && sampleRate == 16000; }
void PDMClass::onReceive(void (*function)(void)) { on_receive = function; }
int PDMClass::available() { return (int)(filled * sizeof driver[0]); }

int PDMClass::read(void *buffer, size_t size) {
    const size_t bytes = filled * sizeof driver[0] < size ? filled * sizeof driver[0] : size;
    memcpy(buffer, driver, bytes);
    filled = 0;
    return (int)bytes;
}

void I2SClass::setPins(int8_t bclk, int8_t ws, int8_t dout, int8_t din, int8_t mclk) {
    if (bclk < 0 || ws < 0 || dout >= 0 || din < 0 || mclk >= 0) {
        abort();
    }
}

bool I2SClass::begin(i2s_mode_t mode, uint32_t rate, i2s_data_bit_width_t bits_cfg, i2s_slot_mode_t ch, int8_t) {
    return mode == I2S_MODE_STD && rate == 16000u && bits_cfg == I2S_DATA_BIT_WIDTH_32BIT &&
           ch == I2S_SLOT_MODE_STEREO;
}

size_t I2SClass::readBytes(char *buffer, size_t size) {
    return wav_read_slots((uint32_t *)buffer, size / 8u) * 8u;
}

static void interrupt() {
    filled = wav_read(driver, 256u);
    on_receive();
}

int main() {
    setup();
    for (int turn = 1;; turn++) {
        if (on_receive != NULL) {
            interrupt();
            for (int i = 0; turn == wav_loses_at() && i < 20; i++) {
                interrupt(); /* loop() does not come in time */
            }
        }
        for (int i = 0; i < 40; i++) {
            loop();
            if (on_receive == NULL) {
                break;
            }
        }
    }
}
