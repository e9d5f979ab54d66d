#include "kato_fast/align_words.h"

#define WORD_BITS 64
/* Every block leaves at most one task behind, and there are at most 32 of
 * more than one symbol. */
#define TASKS (WORD_BITS / 2 + 2)

/* Matched positions low..high-1 against the state's positions from..to-1. */
typedef struct {
    uint32_t low;
    uint32_t high;
    uint32_t from;
    uint32_t to;
} task;

/* Bits from..to-1, to <= 64. */
static inline uint64_t
bits_between(uint32_t from, uint32_t to)
{
    uint64_t below = to == WORD_BITS ? ~(uint64_t)0 : ((uint64_t)1 << to) - 1;
    return from == WORD_BITS ? 0 : below & (~(uint64_t)0 << from);
}

/* Blocks come in any order. */
static inline void
add_block(kf_alignment *sum, uint32_t i, uint32_t k)
{
    sum->first = sum->blocks == 0 || i < sum->first ? i : sum->first;
    sum->end = i + k > sum->end ? i + k : sum->end;
    sum->matched += k;
    sum->blocks++;
}

/* The ends of single matches, and the first position that has one. */
static uint32_t
start_level(const kf_align_words *words, const task *range)
{
    uint64_t allowed = bits_between(range->from, range->to);
    uint32_t first = range->high;
    for (uint32_t p = range->high; p-- > range->low;) {
        words->level[p] = words->mask[p] & allowed;
        first = words->level[p] != 0 ? p : first;
    }
    return first;
}

/* The longest run of the sub-problem: out->k is 0 where there is none. The
 * bits of level[p] are the state positions at which a run of the length at
 * hand ends that also ends at matched position p; one shift and mask per
 * step makes them those of the next length. *end is the matched position
 * at which it ends. */
static void
longest_run(const kf_align_words *words, const task *range, kf_block *out,
            uint32_t *end)
{
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

/* Where no run is longer than one symbol, the recursion is a walk from left
 * to right that takes the earliest allowed position each time: nothing is
 * left of the first choice, and the rest has no longer run either. */
static void
walk_singles(const kf_align_words *words, const task *range, kf_alignment *sum)
{
    uint64_t allowed = bits_between(range->from, range->to);
    for (uint32_t p = range->low; p < range->high; p++) {
        uint64_t bits = words->mask[p] & allowed;
        if (bits != 0) {
            add_block(sum, words->at[p], 1);
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
kf_align_words_run(const kf_align_words *words, uint32_t m, kf_alignment *out)
{
    task tasks[TASKS];
    uint32_t left = 1;
    kf_alignment sum = {0, 0, 0, 0};
    if (!words->has_runs) {
        *out = count_singles(words);
        return;
    }
    tasks[0] = (task){0, words->count, 0, m};
    while (left > 0) {
        task here = tasks[--left];
        kf_block block;
        uint32_t end = 0;
        longest_run(words, &here, &block, &end);
        if (block.k == 1) {
            walk_singles(words, &here, &sum);
        }
        else if (block.k > 1) {
            add_block(&sum, block.i, block.k);
            tasks[left++] =
                (task){end + 1, here.high, block.j + block.k, here.to};
            tasks[left++] =
                (task){here.low, end + 1 - block.k, here.from, block.j};
        }
    }
    *out = sum;
}
