/* Whether bytes from outside are what the rest of the library takes for
 * granted: valid UTF-8. And short texts, as nearly all are, at a glance. Pure
 * functions. */
#ifndef KATO_FAST_UTF8_H
#define KATO_FAST_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KF_SHORT_MAX ((size_t)16)

/* Up to KF_SHORT_MAX bytes as two words, which overlap where they are fewer;
 * what is not there is 'a'. Together with the size they are all of it. */
static inline void
kf_short_load(const char *bytes, size_t size, uint64_t *low, uint64_t *high)
{
    *low = *high = UINT64_C(0x0101010101010101) * 'a';
    if (size >= 8) {
        memcpy(low, bytes, 8);
        memcpy(high, bytes + size - 8, 8);
    }
    else if (size >= 4) {
        memcpy(low, bytes, 4);
        memcpy(high, bytes + size - 4, 4);
    }
    else if (size > 0) {
        uint8_t three[3] = {(uint8_t)bytes[0], (uint8_t)bytes[size / 2],
                            (uint8_t)bytes[size - 1]};
        memcpy(low, three, sizeof three);
    }
}

/* The same without a branch: KF_SHORT_MAX bytes can be read whatever the size
 * is, and what is behind it is 0. */
static inline void
kf_short_read(const char *bytes, size_t size, uint64_t *low, uint64_t *high)
{
    static const uint64_t ones[4] = {UINT64_MAX, UINT64_MAX, 0, 0};
    const char *mask = (const char *)ones + KF_SHORT_MAX - size;
    uint64_t inside[2];
    memcpy(inside, mask, sizeof inside);
    memcpy(low, bytes, 8);
    memcpy(high, bytes + 8, 8);
    *low &= inside[0];
    *high &= inside[1];
}

/* Table 3-7 of the Unicode Standard: shortest forms only, no surrogates,
 * nothing above U+10FFFF. */
bool kf_utf8_is_valid(const char *bytes, size_t size);

/* The same, quicker for what is short and plain. */
static inline bool
kf_utf8_is_valid_short(const char *bytes, size_t size)
{
    uint64_t low, high;
    if (size > KF_SHORT_MAX) {
        return kf_utf8_is_valid(bytes, size);
    }
    kf_short_load(bytes, size, &low, &high);
    return ((low | high) & UINT64_C(0x8080808080808080)) == 0 ||
           kf_utf8_is_valid(bytes, size);
}

#endif
