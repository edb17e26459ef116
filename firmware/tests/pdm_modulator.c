/* A simulated PDM microphone: a sine, quantised to one bit by a delta-sigma modulator whose noise transfer
 * function is b/a (b[0] == a[0] == 1). Words of 16 bits, the first bit the most significant. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

void modulate(double amplitude, double offset, double radians, const double *b, const double *a,
              uint32_t order, uint16_t *words, size_t count);

void modulate(double amplitude, double offset, double radians, const double *b, const double *a,
              uint32_t order, uint16_t *words, size_t count) {
    double error[8] = {0};
    double shaped[8] = {0};
    double phase = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word = 0;
        for (uint32_t bit = 0; bit < 16u; bit++) {
            double noise = 0;
            for (uint32_t k = 1; k <= order; k++) {
                noise += (b[k] - a[k]) * error[k - 1u] - a[k] * shaped[k - 1u];
            }
            const double wanted = amplitude * sin(phase) + offset + noise;
            for (uint32_t k = order - 1u; k > 0u; k--) {
                error[k] = error[k - 1u];
                shaped[k] = shaped[k - 1u];
            }
            error[0] = (wanted >= 0 ? 1.0 : -1.0) - wanted;
            shaped[0] = noise;
            word = word << 1 | (wanted >= 0);
            phase += radians;
        }
        words[i] = (uint16_t)word;
    }
}
