/* Arithmetic that this core has in the ROM of an ESP8266, and that the compiler's library therefore leaves
 * out: 32-bit division, 64-bit products and quotients. Names and types are libgcc's. */
#include <stdint.h>

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
uint32_t __umodsi3(uint32_t dividend, uint32_t divisor);
int32_t __divsi3(int32_t dividend, int32_t divisor);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
int64_t __muldi3(int64_t a, int64_t b);
uint64_t __udivdi3(uint64_t dividend, uint64_t divisor);
int64_t __divdi3(int64_t dividend, int64_t divisor);

typedef struct {
    uint32_t quotient, remainder;
} divided_t;

/* By shifting and subtracting; what division by 0 gives is undefined in C. */
static divided_t divide(uint32_t dividend, uint32_t divisor) {
    divided_t result = {0u, 0u};
    for (uint32_t bit = 1u << 31; bit != 0u; bit >>= 1) {
        const uint32_t carry = result.remainder >> 31;
        result.remainder = result.remainder << 1 | ((dividend & bit) != 0u);
        if (carry != 0u || result.remainder >= divisor) {
            result.remainder -= divisor;
            result.quotient |= bit;
        }
    }
    return result;
}

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
    return divide(dividend, divisor).quotient;
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
    return divide(dividend, divisor).remainder;
}

static uint32_t magnitude(int32_t value) {
    return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

int32_t __divsi3(int32_t dividend, int32_t divisor) {
    const uint32_t quotient = divide(magnitude(dividend), magnitude(divisor)).quotient;
    return (int32_t)((dividend < 0) != (divisor < 0) ? 0u - quotient : quotient);
}

uint64_t __umulsidi3(uint32_t a, uint32_t b) {
    const uint32_t low = (a & 0xffffu) * (b & 0xffffu);
    const uint32_t across = (a >> 16) * (b & 0xffffu) + (low >> 16);
    const uint32_t middle = (a & 0xffffu) * (b >> 16) + (across & 0xffffu);
    const uint32_t high = (a >> 16) * (b >> 16) + (across >> 16) + (middle >> 16);
    return (uint64_t)high << 32 | (middle << 16 | (low & 0xffffu));
}

int64_t __muldi3(int64_t a, int64_t b) {
    const uint64_t left = (uint64_t)a, right = (uint64_t)b;
    const uint32_t high = (uint32_t)(left >> 32) * (uint32_t)right + (uint32_t)left * (uint32_t)(right >> 32);
    return (int64_t)(__umulsidi3((uint32_t)left, (uint32_t)right) + ((uint64_t)high << 32));
}

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor) {
    uint64_t quotient = 0u, remainder = 0u;
    for (uint64_t bit = 1ull << 63; bit != 0u; bit >>= 1) {
        const uint32_t carry = (uint32_t)(remainder >> 63);
        remainder = remainder << 1 | ((dividend & bit) != 0u);
        if (carry != 0u || remainder >= divisor) {
            remainder -= divisor;
            quotient |= bit;
        }
    }
    return quotient;
}

int64_t __divdi3(int64_t dividend, int64_t divisor) {
    const uint64_t a = dividend < 0 ? 0u - (uint64_t)dividend : (uint64_t)dividend;
    const uint64_t b = divisor < 0 ? 0u - (uint64_t)divisor : (uint64_t)divisor;
    const uint64_t quotient = __udivdi3(a, b);
    return (int64_t)((dividend < 0) != (divisor < 0) ? 0u - quotient : quotient);
}
