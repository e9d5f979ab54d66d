#include "kato_fast/decimal.h"

#include "decimal_powers.h"

#include <stdbool.h>
#include <string.h>

typedef unsigned __int128 uint128;

#define EVERY_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))

#define MANTISSA_BITS 52
#define EXPONENT_MASK 0x7ff
#define MANTISSA_MASK (((uint64_t)1 << MANTISSA_BITS) - 1)

static inline uint64_t
double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* |value| = mantissa * 2**exponent */
typedef struct {
    uint64_t mantissa;
    int exponent;
} binary;

static inline binary
split(uint64_t bits)
{
    uint64_t mantissa = bits & MANTISSA_MASK;
    int exponent = (int)(bits >> MANTISSA_BITS) & EXPONENT_MASK;
    if (exponent == 0) { /* subnormal */
        return (binary){mantissa, -1074};
    }
    return (binary){mantissa | (uint64_t)1 << MANTISSA_BITS, exponent - 1075};
}

/* Shortest digits: Raffaello Giulietti, "The Schubfach way to render
 * doubles", 2021; names as there. The result lies in the interval that
 * rounds to the double, has as few digits as possible and is the nearest of
 * those. digits may end in zeros. */
typedef struct {
    uint64_t digits; /* at most 17 of them */
    int exponent;    /* of ten */
} decimal;

/* floor(log2(10**e)), |e| <= 1233 */
static inline int
floor_log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* floor(log10(2**e)), or floor(log10(3/4 * 2**e)) with three_quarters;
 * |e| <= 1500 */
static inline int
floor_log10_pow2(int e, bool three_quarters)
{
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* floor(g * cp / 2**128), with the lowest bit set where the product had more
 * bits: enough to compare it with an integer (section 9.10). */
static inline uint64_t
round_to_odd(const uint64_t g[2], uint64_t cp)
{
    uint64_t x = (uint64_t)((uint128)g[1] * cp >> 64);
    uint128 y = (uint128)g[0] * cp + x;
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* Without a branch, where it cannot be predicted which it is. */
static inline uint64_t
choose(bool first, uint64_t one, uint64_t other)
{
    uint64_t mask = (uint64_t)0 - first;
    return (one & mask) | (other & ~mask);
}

static inline decimal
shortest(binary value, bool closer_below)
{
    uint64_t c = value.mantissa;
    int q = value.exponent;
    int k = floor_log10_pow2(q, closer_below);
    int h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *g = kf_decimal_powers[-k - KF_DECIMAL_POWER_FIRST];
    /* An odd mantissa does not own the ends of its rounding interval. */
    uint64_t odd = c & 1;
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer_below) << h) + odd;
    uint64_t middle = round_to_odd(g, (4 * c) << h);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = middle / 4;
    uint64_t tens = s / 10;
    uint64_t half = 4 * s + 2;
    bool under = lower <= 40 * tens;
    bool over = 40 * tens + 40 <= upper;
    bool shorter = (under != over) & (s >= 10);
    uint64_t few = tens + over;
    bool nearer = (middle > half) | ((middle == half) & (s & 1));
    under = lower <= 4 * s;
    over = 4 * s + 4 <= upper;
    over = (over & !under) | ((under == over) & nearer);
    return (decimal){choose(shorter, few, s + over), k + shorter};
}

/* Digits as text. */

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

static inline void
put_pair(char *out, uint32_t value)
{
    memcpy(out, pairs + 2 * value, 2);
}

static inline void
put_eight(char *out, uint32_t value)
{
    uint32_t high = value / 10000;
    uint32_t low = value % 10000;
    put_pair(out, high / 100);
    put_pair(out + 2, high % 100);
    put_pair(out + 4, low / 100);
    put_pair(out + 6, low % 100);
}

/* Write so that the last digit is before end; returns the first. */
static inline char *
put_digits(char *end, uint64_t value)
{
    uint32_t rest;
    while (value >= 100000000) {
        end -= 8;
        put_eight(end, (uint32_t)(value % 100000000));
        value /= 100000000;
    }
    for (rest = (uint32_t)value; rest >= 100; rest /= 100) {
        end -= 2;
        put_pair(end, rest % 100);
    }
    if (rest >= 10) {
        end -= 2;
        put_pair(end, rest);
    }
    else {
        *--end = (char)('0' + rest);
    }
    return end;
}

size_t
kf_decimal_write_uint(uint64_t value, char out[KF_DECIMAL_UINT_MAX])
{
    char text[KF_DECIMAL_UINT_MAX];
    char *end = text + sizeof text;
    char *first = put_digits(end, value);
    size_t size = (size_t)(end - first);
    memcpy(out, first, size);
    return size;
}

/* Eight digits, one in each byte, the first in the lowest: two halves, four
 * pairs, eight digits, each step by one multiplication for all parts. */
static inline uint64_t
eight_digits(uint32_t value)
{
    uint64_t halves = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = halves * 10486 >> 20 & 0x0000007f0000007fu;
    uint64_t in_pairs = hundreds | (halves - 100 * hundreds) << 16;
    uint64_t tens = in_pairs * 103 >> 10 & 0x000f000f000f000fu;
    return tens | (in_pairs - 10 * tens) << 8;
}

/* Digits without zeros at either end, in registers. */
typedef struct {
    uint128 digits; /* the first 16, the first of all in the lowest byte */
    uint8_t last;   /* the 17th */
    size_t count;
    int point; /* where the decimal point is, counted in digits */
} digit_row;

static inline unsigned
zeros_behind(uint64_t digits)
{
    return (unsigned)__builtin_clzll(digits) / 8;
}

static inline unsigned
zeros_before(uint64_t digits)
{
    return (unsigned)__builtin_ctzll(digits) / 8;
}

static inline digit_row
row_of(decimal value) /* digits are not 0 */
{
    uint64_t high = value.digits / 100000000;
    uint64_t first = high / 100000000; /* of 17 digits, or 0 */
    uint64_t upper = eight_digits((uint32_t)(high % 100000000));
    uint64_t lower = eight_digits((uint32_t)(value.digits % 100000000));
    uint128 all = (uint128)lower << 64 | upper;
    unsigned behind = lower != 0   ? zeros_behind(lower)
                      : upper != 0 ? 8 + zeros_behind(upper)
                                   : 16;
    unsigned before;
    if (first != 0) {
        return (digit_row){all << 8 | first, (uint8_t)(lower >> 56),
                           17 - behind, 17 + value.exponent};
    }
    before = upper != 0 ? zeros_before(upper) : 8 + zeros_before(lower);
    return (digit_row){all >> 8 * before, 0, 16 - before - behind,
                       16 - (int)before + value.exponent};
}

/* Eight digits as text. */
static inline uint64_t
digits_text(uint64_t digits)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    return digits | EVERY_BYTE('0');
}

/* 16 of them. */
static inline void
put_row(char *out, uint128 digits)
{
    uint64_t text[2] = {digits_text((uint64_t)digits),
                        digits_text((uint64_t)(digits >> 64))};
    memcpy(out, text, sizeof text);
}

/* The layout of repr: float_repr_style "short" in CPython's
 * Python/pystrtod.c. All 17 digits are written wherever they may end, which
 * is faster than to the byte; KF_DECIMAL_MAX has the room. */

static size_t
put_scientific(char *out, digit_row row)
{
    char *next = out + 1;
    unsigned exponent =
        (unsigned)(row.point > 0 ? row.point - 1 : 1 - row.point);
    out[0] = (char)('0' + ((unsigned)row.digits & 15));
    if (row.count > 1) {
        out[1] = '.';
        put_row(out + 2, row.digits >> 8);
        out[17] = (char)('0' + row.last);
        next += row.count;
    }
    *next++ = 'e';
    *next++ = row.point > 0 ? '+' : '-';
    if (exponent >= 100) {
        *next++ = (char)('0' + exponent / 100);
    }
    put_pair(next, exponent % 100);
    return (size_t)(next + 2 - out);
}

static inline size_t
put_fraction(char *out, digit_row row, size_t zeros)
{
    memcpy(out, "0.000", 5);
    put_row(out + 2 + zeros, row.digits);
    out[2 + zeros + 16] = (char)('0' + row.last);
    return 2 + zeros + row.count;
}

/* Digits on both sides of the point, 1 to 16 of them before it, with zeros
 * where there are too few. */
static inline size_t
put_plain(char *out, digit_row row, size_t point)
{
    put_row(out, row.digits);
    out[point] = '.';
    /* Two steps: 16 digits are as many bits as the type has. */
    put_row(out + point + 1, row.digits >> 8 * (point - 1) >> 8);
    out[17] = (char)('0' + row.last);
    return (row.count > point ? row.count : point + 1) + 1;
}

/* Most values are of the two kinds below, whose digits are put where they
 * end, without a look at where they begin. */

/* Below 1, all of 15 to 20 decimals, the last 17 of which are not all 0. What
 * of those is no decimal lies under "0." */
static inline bool
is_long_fraction(decimal value)
{
    return value.exponent <= -15 && value.exponent >= -20 &&
           value.digits % 100000000 != 0;
}

static inline size_t
put_long_fraction(char *out, decimal value)
{
    uint64_t high = value.digits / 100000000;
    uint64_t lower = eight_digits((uint32_t)(value.digits % 100000000));
    uint64_t upper = digits_text(eight_digits((uint32_t)(high % 100000000)));
    uint64_t ending = digits_text(lower);
    char *end = out + 2 - value.exponent;
    memcpy(out, "0.000", 5);
    end[-17] = (char)('0' + high / 100000000);
    memcpy(end - 16, &upper, sizeof upper);
    memcpy(end - 8, &ending, sizeof ending);
    memcpy(out, "0.", 2);
    return (size_t)(end - out) - zeros_behind(lower);
}

/* count / 1e12, from 0.0001 to below 10 and not whole. */
static inline size_t
put_twelve(char *out, uint64_t count)
{
    uint64_t fraction = count % 1000000000000u;
    uint64_t upper = eight_digits((uint32_t)(fraction / 10000));
    uint64_t lower = eight_digits((uint32_t)(fraction % 10000) * 10000);
    uint64_t text = digits_text(upper);
    uint64_t ending = digits_text(lower);
    out[0] = (char)('0' + count / 1000000000000u);
    out[1] = '.';
    memcpy(out + 2, &text, sizeof text);
    memcpy(out + 10, &ending, sizeof ending);
    return lower != 0 ? 18 - zeros_behind(lower) : 10 - zeros_behind(upper);
}

static size_t
put_decimal(char *out, decimal value)
{
    digit_row row = row_of(value);
    if (row.point > 16 || row.point < -3) {
        return put_scientific(out, row);
    }
    if (row.point <= 0) {
        return put_fraction(out, row, (size_t)-row.point);
    }
    return put_plain(out, row, (size_t)row.point);
}

/* Whole numbers below 2**53 are their own shortest digits: the neighbours
 * are at most 1 away, so no other multiple of ten rounds to them. */
static inline bool
is_small_whole(double magnitude)
{
    return magnitude < 9007199254740992.0 &&
           (double)(int64_t)magnitude == magnitude;
}

/* Values below 1000 that were rounded to 12 decimals, or need no more, in half
 * the time: count / 1e12 rounds once, as reading the text does, and of all
 * texts of at most 15 digits only one reads back as the value, so that none
 * is shorter. */
static inline bool
has_twelve_decimals(double magnitude, uint64_t *count)
{
    if (!(magnitude < 1000)) {
        return false;
    }
    *count = (uint64_t)(int64_t)(magnitude * 1e12 + 0.5);
    return (double)(int64_t)*count / 1e12 == magnitude;
}

size_t
kf_decimal_write(double value, char out[KF_DECIMAL_MAX])
{
    uint64_t bits = double_bits(value);
    size_t sign = bits >> 63;
    double magnitude = sign ? -value : value;
    uint64_t count;
    bool closer_below;
    decimal digits;
    out[0] = '-';
    if (is_small_whole(magnitude)) {
        size_t size =
            sign + kf_decimal_write_uint((uint64_t)magnitude, out + sign);
        memcpy(out + size, ".0", 2);
        return size + 2;
    }
    if (has_twelve_decimals(magnitude, &count)) {
        return sign + (count >= 100000000 && count < 10000000000000
                           ? put_twelve(out + sign, count)
                           : put_decimal(out + sign, (decimal){count, -12}));
    }
    closer_below = (bits & MANTISSA_MASK) == 0 &&
                   (bits >> MANTISSA_BITS & EXPONENT_MASK) > 1;
    digits = shortest(split(bits), closer_below);
    return sign +
           (magnitude >= 0.0001 && magnitude < 1 && is_long_fraction(digits)
                ? put_long_fraction(out + sign, digits)
                : put_decimal(out + sign, digits));
}

/* Rounding. */

/* value * 10**12 / 2**shift, to the nearest, ties to even. mantissa * 10**12
 * is below 2**93, so from shift 95 on the result is below 1/4. */
static inline uint64_t
scale_round(uint64_t mantissa, int shift)
{
    uint128 product = (uint128)mantissa * 1000000000000u;
    uint128 half, rest;
    uint64_t whole;
    if (shift > 94) {
        return 0;
    }
    half = (uint128)1 << (shift - 1);
    rest = product & (2 * half - 1);
    whole = (uint64_t)(product >> shift);
    return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

double
kf_decimal_round12(double value)
{
    double magnitude = value < 0 ? -value : value;
    binary parts;
    double rounded;
    /* From 2**13 on doubles are more than 1.8e-12 apart and the nearest
     * multiple of 1e-12 is at most half of 1e-12 away: it reads back as
     * value itself. (2**13 has a nearer neighbour but is a multiple.) */
    if (!(magnitude < 8192)) {
        return value;
    }
    /* Here the exponent is -40 or less, and the quotient's numerator is at
     * most 8192e12 < 2**53: it and 1e12 are exact as doubles, so that the
     * division rounds once, as reading the decimal text does. */
    parts = split(double_bits(value));
    rounded = (double)scale_round(parts.mantissa, -parts.exponent) / 1e12;
    return (double_bits(value) >> 63) != 0 ? -rounded : rounded;
}
