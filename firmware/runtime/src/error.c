#include "stapes/error.h"

const char *stapes_error_text(int error) {
    switch (error) {
#define X(name, value, text)                                                                                 \
    case (value):                                                                                            \
        return text;
#include "stapes/errors.def"
#undef X
    default: return "unknown error";
    }
}
