/* The real transform of the front end, by a complex one of half the length. */
#ifndef STAPES_FFT_H
#define STAPES_FFT_H

#include <stddef.h>
#include <stdint.h>

#include "stapes/frontend.h"

/* In place: `bins` holds the windowed samples (even ones in re, odd ones in im) in bit-reversed order, and
 * afterwards the power of bins 1 ... n_fft / 2 - 1. Length n_fft / 2 >= 32, the squared norm below 2^58. */
void stapes_fft_power(stapes_bin_t *bins, const stapes_frontend_tables_t *tables);

#endif
