/* One negative error enum for the whole runtime, generated from errors.def. Positive results carry
 * information.
 *
 * A function that can return STAPES_E_ARGUMENT looks for NULL among its pointers and returns that; its header
 * says so. All others do not look: what the init function has accepted may be given to them. */
#ifndef STAPES_ERROR_H
#define STAPES_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
#define X(name, value, text) name = (value),
#include "stapes/errors.def"
#undef X
} stapes_error_t;

/* Returns one line for a person: what was wrong and what to do next. Never NULL. */
const char *stapes_error_text(int error);

#ifdef __cplusplus
}
#endif

#endif
