/* limits.def in C: STAPES_LIMIT_CLASSES and so on. */
#ifndef STAPES_LIMITS_H
#define STAPES_LIMITS_H

enum {
#define LIMIT(name, value, what, why) STAPES_LIMIT_##name = (value),
#include "stapes/limits.def"
#undef LIMIT
};

#endif
