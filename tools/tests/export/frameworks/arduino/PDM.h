/* The class PDM of ArduinoCore-mbed (libraries/PDM/src/PDM.h), as far as the sketch uses it. */
#pragma once
#include <Arduino.h>

class PDMClass {
  public:
    int begin(int channels, int sampleRate);
    void end();
    virtual int available();
    virtual int read(void *buffer, size_t size);
    void onReceive(void (*function)(void));
    void setGain(int gain);
    void setBufferSize(int bufferSize);
};
extern PDMClass PDM;
