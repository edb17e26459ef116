/* The part of an Arduino core that the sketches use (compare ArduinoCore-API: Print.h, Common.h). */
#pragma once
#include <stddef.h>
#include <stdint.h>

void setup();
void loop();
void delay(unsigned long milliseconds);

class Print {
  public:
    size_t print(const char text[]);
    size_t print(double value, int digits = 2);
    size_t println(const char text[]);
};

class Stream : public Print {
  public:
    void begin(unsigned long baud);
};
extern Stream Serial;
