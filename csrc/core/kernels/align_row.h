/* One row of the table of run lengths, see kf_align_table_row: what a state of
 * more than 64 symbols costs where most of them are equal. Plain loops that
 * the compiler makes vectors of, for each kind of CPU its own. */
#ifndef KATO_FAST_KERNELS_ALIGN_ROW_H
#define KATO_FAST_KERNELS_ALIGN_ROW_H

#include "align_kernel.h"

#define KF_ROW_STEP 64u

KF_TARGET KF_INLINE bool
has_length(const uint16_t *to, uint16_t length)
{
    uint16_t any = 0;
    for (uint32_t j = 0; j < KF_ROW_STEP; j++) {
        any |= to[j] == length;
    }
    return any != 0;
}

/* The first position of the length, which is there. */
KF_TARGET KF_INLINE uint32_t
find_length(const uint16_t *to, uint32_t count, uint16_t length)
{
    uint32_t j = 0;
    while (j + KF_ROW_STEP <= count && !has_length(to + j, length)) {
        j += KF_ROW_STEP;
    }
    while (to[j] != length) {
        j++;
    }
    return j;
}

KF_TARGET KF_INLINE uint16_t
fill_row(const uint16_t *numbers, uint16_t number, uint32_t count,
         uint16_t keep, const uint16_t *from, uint16_t *restrict to,
         uint16_t *restrict longest)
{
    uint16_t most = 0;
    for (uint32_t j = 0; j < count; j++) {
        uint16_t equal = (uint16_t)-(numbers[j] == number);
        uint16_t length = (uint16_t)((from[j] & keep) + 1) & equal;
        to[j + 1] = length;
        if (longest != NULL) {
            longest[j] = length > longest[j] ? length : longest[j];
        }
        most = length > most ? length : most;
    }
    return most;
}

KF_TARGET static uint32_t
row(const uint16_t *numbers, uint32_t number, uint32_t count, bool follows,
    const uint16_t *from, uint16_t *to, uint16_t *longest, uint32_t known,
    uint32_t *first)
{
    uint16_t wanted = (uint16_t)number;
    uint16_t keep = (uint16_t)(follows ? 0xffff : 0);
    uint16_t most =
        longest != NULL
            ? fill_row(numbers, wanted, count, keep, from, to, longest)
            : fill_row(numbers, wanted, count, keep, from, to, NULL);
    if (most > known) {
        *first = find_length(to + 1, count, most);
    }
    return most;
}

#endif
