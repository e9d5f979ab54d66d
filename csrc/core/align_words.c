#include "kato_fast/align_words.h"

#include "align_drive.h"

#define WORD_BITS 64
/* Every block of more than one symbol leaves an area behind, and there are
 * at most 32. */
#define AREAS (WORD_BITS / 2 + 1)

/* The ends of single matches, and the first position that has one. */
static uint32_t
start_level(const kf_align_words *words, const kf_align_area *range)
{
    uint64_t allowed = kf_align_bits(range->from, range->to);
    uint32_t first = range->high;
    for (uint32_t p = range->high; p-- > range->low;) {
        words->level[p] = words->mask[p] & allowed;
        first = words->level[p] != 0 ? p : first;
    }
    return first;
}

/* The bits of level[p] are the state positions at which a run of the length
 * at hand ends that also ends at matched position p; one shift and mask per
 * step makes them those of the next length. */
static void
longest_run(void *of, const kf_align_area *range, kf_block *out, uint32_t *end)
{
    const kf_align_words *words = of;
    uint64_t *level = words->level;
    uint32_t first = start_level(words, range);
    out->k = 0;
    while (first != range->high) {
        uint32_t low = first;
        first = range->high;
        out->k++;
        out->j = (uint32_t)__builtin_ctzll(level[low]) + 1 - out->k;
        *end = low;
        for (uint32_t p = range->high - 1; p > low; p--) {
            bool adjacent = words->at[p] == words->at[p - 1] + 1;
            level[p] = adjacent ? (level[p - 1] << 1) & level[p] : 0;
            first = level[p] != 0 ? p : first;
        }
    }
    out->i = out->k != 0 ? words->at[*end] + 1 - out->k : 0;
}

static void
walk_singles(void *of, const kf_align_area *range, kf_align_sink *to)
{
    const kf_align_words *words = of;
    uint64_t allowed = kf_align_bits(range->from, range->to);
    for (uint32_t p = range->low; p < range->high; p++) {
        uint64_t bits = words->mask[p] & allowed;
        if (bits != 0) {
            uint32_t j = (uint32_t)__builtin_ctzll(bits);
            kf_align_emit(to, (kf_block){words->at[p], j, 1});
            allowed &= ~(bits ^ (bits - 1));
        }
    }
}

/* walk_singles over everything, without a branch on whether a position finds
 * a partner, which no processor can predict. */
static kf_alignment
count_singles(const kf_align_words *words)
{
    kf_alignment sum = {0, 0, 0, 0};
    uint64_t allowed = ~(uint64_t)0;
    uint32_t first = UINT32_MAX;
    for (uint32_t p = 0; p < words->count; p++) {
        uint64_t bits = words->mask[p] & allowed;
        uint32_t here = words->at[p];
        allowed &= bits != 0 ? ~(bits ^ (bits - 1)) : ~(uint64_t)0;
        sum.matched += bits != 0;
        sum.end = bits != 0 ? here + 1 : sum.end;
        here = bits != 0 ? here : UINT32_MAX;
        first = here < first ? here : first;
    }
    sum.blocks = sum.matched;
    sum.first = sum.matched != 0 ? first : 0;
    return sum;
}

void
kf_align_words_run(kf_align_words *words, uint32_t m, kf_block *blocks,
                   kf_alignment *out)
{
    kf_align_area areas[AREAS];
    kf_align_area whole = {0, words->count, 0, m, 0, 0};
    kf_align_sink to = {{0, 0, 0, 0}, blocks};
    if (!words->has_runs && blocks == NULL) {
        *out = count_singles(words);
        return;
    }
    kf_align_drive(words, longest_run, walk_singles, whole, words->at, areas,
                   &to);
    *out = to.sum;
}
