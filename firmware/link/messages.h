/* messages.def in C: numbers as enums, layouts as structures of bytes, so that `sizeof` and `offsetof` are
 * those of the line. */
#ifndef STAPES_MESSAGES_H
#define STAPES_MESSAGES_H

#include <stdint.h>

#define STAPES_PROTOCOL_VERSION 3

enum {
#define MESSAGE(name, number) STAPES_MESSAGE_##name = (number),
#include "messages.def"
    STAPES_MESSAGE_ANSWER = 0x80, /* set in the type of an answer */
    STAPES_MESSAGE_DAMAGED = 0xFF /* answer to a frame that could not be read */
};

typedef enum {
#define COUNTER(name, value, text) STAPES_COUNTER_##name = (value),
#include "messages.def"
} stapes_counter_t;

enum {
#define FAULT(name, value, text) STAPES_FAULT_##name = (value),
#include "messages.def"
};

enum {
#define RAISE(name, value, text) STAPES_RAISE_##name = (value),
#include "messages.def"
    STAPES_RAISES
};

#define WIRE_u8  1u
#define WIRE_i8  1u
#define WIRE_u16 2u
#define WIRE_i16 2u
#define WIRE_u32 4u
#define WIRE_i32 4u
#define WIRE_u64 8u
#define WIRE_i64 8u

/* clang-format off */
#define BEGIN(name)              typedef struct {
#define FIELD(type, name, text)  uint8_t name[WIRE_##type];
#define BYTES(count, name, text) uint8_t name[count];
#define TAIL(type, name, text)   uint8_t name[];
#define END(name)                } wire_##name##_t;
/* clang-format on */
#include "messages.def"

#endif
