/* Normalises the int32 values on stdin as one window. Arguments: numerator, zero point. */
#include <stdio.h>
#include <stdlib.h>

#include "stapes/frontend.h"

static int32_t values[1 << 16];
static int8_t features[1 << 16];

int main(int count, char **arguments) {
    uint32_t read = (uint32_t)fread(values, sizeof values[0], sizeof values / sizeof values[0], stdin);
    stapes_window_output_t output = {0, 0};
    if (count == 3) {
        output.numerator = strtoull(arguments[1], NULL, 10);
        output.zero_point = (int16_t)atoi(arguments[2]);
    }
    if (stapes_window_normalize(&output, values, read, features) != 0) {
        return 1;
    }
    fwrite(features, 1, read, stdout);
    return 0;
}
