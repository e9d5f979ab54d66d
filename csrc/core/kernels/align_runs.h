/* The search for runs of one pattern, included by each variant: see
 * align_kernel.h.
 *
 * Bit i of a word of pattern positions stands for position i; bit j of a
 * word of state positions for position j.
 *
 * A walk takes positions of the pattern from left to right, each with the
 * earliest allowed position of the state. That is the whole answer where no
 * two neighbours of the pattern are neighbours in the state, too: the longest
 * run is then one symbol, the chosen block is the first position that finds
 * a partner, nothing is left of it, and the same holds behind it.
 *
 * For the other patterns, runs of k symbols end at i and j where runs[k][i]
 * has bit j:
 *
 *     runs[k + s][i] = runs[k][i] & (runs[k][i - s] << s)        for s <= k
 *
 * Kept are those of k = 1, 2, 4, ..., from which one such step makes any
 * other, so that a long run costs no more than a few short ones. A run of k
 * symbols has one of k - 1 in it: the longest of a sub-problem is found by
 * halving. The first i, then the first j, is the block. Left of that no run
 * of k is left, else it had come first; so k only falls on the left and never
 * rises on the right. Between the runs the walk does the rest. */

/* So few positions of a level are looked at one by one. */
#define KF_FEW 8

/* level[i] = runs[k + by][i] from below = runs[k], for all i from first to
 * last and some behind them; returns the set of those where it is not 0, and
 * adds all words to *columns. by <= first. What it reads and says of
 * positions outside of a level's set means nothing. */
KF_TARGET KF_INLINE uint64_t fill_many(const uint64_t *below, uint32_t by,
                                       uint32_t first, uint32_t last,
                                       uint64_t *level, uint64_t *columns);

/* The part of `rest` up to the first vector in which runs[k + by][i] &
 * allowed, from below = runs[k], is not 0 for some i of it, and of that
 * vector only such i; 0 if there is none. */
KF_TARGET KF_INLINE uint64_t find_many(const uint64_t *below, uint32_t by,
                                       uint64_t rest, uint64_t allowed);

/* Pattern positions low..high-1 against the state's positions from..to-1,
 * where no run is longer than k. */
typedef struct {
    uint32_t low;
    uint32_t high;
    uint32_t from;
    uint32_t to;
    uint32_t k;
    uint32_t behind; /* symbols of the block that ends where it begins */
} area;

KF_TARGET KF_INLINE uint64_t
bits_below(uint32_t end)
{
    return end >= KF_WORD_BITS ? ~(uint64_t)0 : ((uint64_t)1 << end) - 1;
}

/* joined: symbols of blocks beside the first of each. Without a branch:
 * whether anything matches cannot be predicted. */
KF_TARGET KF_INLINE void
finish(uint64_t taken, uint32_t joined, kf_alignment *out)
{
    uint64_t none = taken == 0;
    out->matched = (uint32_t)__builtin_popcountll(taken);
    out->blocks = out->matched - joined;
    out->first = (uint32_t)__builtin_ctzll(taken | none);
    out->end = 64 - (uint32_t)__builtin_clzll(taken | none) - (uint32_t)none;
}

/* One step of the walk: `bit` if the position takes one of `bits`, the
 * allowed positions of its symbol. */
KF_TARGET KF_INLINE uint64_t
step(uint64_t bits, uint64_t bit, uint64_t *allowed)
{
    uint64_t found = (uint64_t)0 - (bits != 0);
    *allowed &= ~((bits ^ (bits - 1)) & found);
    return bit & found;
}

/* fill_many for every i of `next`. */
KF_TARGET KF_INLINE uint64_t
fill_few(const uint64_t *below, uint32_t by, uint64_t next, uint64_t *level,
         uint64_t *columns)
{
    uint64_t found = next;
    for (uint64_t rest = next; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        level[i] = (below[i - by] << by) & below[i];
        *columns |= level[i];
        found &= ~((uint64_t)(level[i] == 0) << i);
    }
    return found;
}

/* Where runs of 1 << e symbols end: `positions` of the pattern, `columns` of
 * the state (perhaps some more). */
typedef struct {
    uint64_t positions[KF_LEVELS];
    uint64_t columns[KF_LEVELS];
} levels_ends;

/* Fill levels[1] and up: levels[e] are the runs of 1 << e symbols. Returns
 * what no run is longer than. */
KF_TARGET KF_INLINE uint32_t
find_levels(kf_align_rows *rows, uint64_t ends, levels_ends *of)
{
    uint64_t next = ends;
    uint32_t e = 0;
    while (next != 0) {
        const uint64_t *below = rows->levels[e];
        uint64_t *level = rows->levels[e + 1];
        uint32_t by = (uint32_t)1 << e;
        uint64_t columns = 0;
        if (__builtin_popcountll(next) <= KF_FEW) {
            next = fill_few(below, by, next, level, &columns);
        }
        else {
            next &= fill_many(below, by, (uint32_t)__builtin_ctzll(next),
                              63 - (uint32_t)__builtin_clzll(next), level,
                              &columns);
        }
        if (next == 0) {
            break;
        }
        of->positions[++e] = next;
        of->columns[e] = columns;
        next = e == KF_LEVELS - 1 ? 0 : next & (next << ((uint32_t)1 << e));
    }
    next = e == 1 ? of->positions[1] & (of->positions[1] << 1) : 1;
    return next == 0 ? 2 : ((uint32_t)2 << e) - 1;
}

/* The first run of (1 << e) + by symbols inside the area: its last
 * positions. */
KF_TARGET KF_INLINE bool
find_run(const kf_align_rows *rows, const levels_ends *ends, const area *here,
         uint32_t e, uint32_t by, uint32_t *i, uint32_t *j)
{
    const uint64_t *level = rows->levels[e];
    uint32_t before = ((uint32_t)1 << e) + by - 1;
    uint64_t allowed = ends->columns[e] & (ends->columns[e] << by) &
                       bits_below(here->to) & ~bits_below(here->from + before);
    uint64_t rest = ends->positions[e] & (ends->positions[e] << by) &
                    bits_below(here->high) & ~bits_below(here->low + before);
    if (allowed == 0) {
        return false;
    }
    if (__builtin_popcountll(rest) > KF_FEW) {
        rest = find_many(level, by, rest, allowed);
    }
    for (; rest != 0; rest &= rest - 1) {
        uint32_t at = (uint32_t)__builtin_ctzll(rest);
        uint64_t bits = level[at] & (level[at - by] << by) & allowed;
        if (bits != 0) {
            *i = at;
            *j = (uint32_t)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

/* Lower here->k to the longest run inside the area; its last positions if
 * that is more than 1. */
KF_TARGET KF_INLINE void
find_longest(const kf_align_rows *rows, const levels_ends *ends, area *here,
             uint32_t *i, uint32_t *j)
{
    uint32_t most = here->k;
    uint32_t e = most > 1 ? 31 - (uint32_t)__builtin_clz(most) : 0;
    while (e > 0 && !find_run(rows, ends, here, e, 0, i, j)) {
        e--;
    }
    here->k = (uint32_t)1 << e;
    most = most < 2 * here->k ? most : 2 * here->k - 1;
    while (e > 0 && here->k < most) {
        uint32_t middle = (here->k + most + 1) / 2;
        uint32_t by = middle - ((uint32_t)1 << e);
        if (find_run(rows, ends, here, e, by, i, j)) {
            here->k = middle;
        }
        else {
            most = middle - 1;
        }
    }
}

/* What the walk of a place of the list writes whether it finds a partner or
 * not; it counts only then. `bits` of 0 give any j. */
KF_TARGET KF_INLINE kf_block
single(uint32_t i, uint64_t bits)
{
    return (kf_block){i, (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63),
                      1};
}

/* *blocks is the end of the list, or NULL. */
KF_TARGET KF_INLINE uint64_t
walk_area(const kf_align_rows *rows, uint64_t hits, const area *here,
          kf_block **blocks)
{
    uint64_t allowed = bits_below(here->to) & ~bits_below(here->from);
    uint64_t rest = hits & bits_below(here->high) & ~bits_below(here->low);
    uint64_t taken = 0;
    for (; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        uint64_t bits = rows->levels[0][i] & allowed;
        if (*blocks != NULL) {
            **blocks = single(i, bits);
            *blocks += bits != 0;
        }
        taken |= step(bits, rest & -rest, &allowed);
    }
    return taken;
}

/* No run is longer than a side of the area. */
KF_TARGET KF_INLINE uint32_t
longest_inside(const area *here)
{
    uint32_t rows = here->high - here->low;
    uint32_t columns = here->to - here->from;
    uint32_t most = rows < columns ? rows : columns;
    return here->k < most ? here->k : most;
}

KF_TARGET KF_INLINE void
write_behind(const area *here, kf_block **blocks)
{
    uint32_t k = here->behind;
    if (*blocks != NULL && k != 0) {
        *(*blocks)++ = (kf_block){here->low - k, here->from - k, k};
    }
}

/* Any runs, of a pattern of n symbols against m. At most 32 blocks have two
 * symbols or more, and each leaves one area behind. blocks: NULL, or where
 * the list goes, with room for one more than there can be. */
KF_TARGET KF_INLINE void
align_runs(kf_align_rows *rows, uint32_t n, uint32_t m, uint64_t hits,
           uint64_t ends, kf_block *blocks, kf_alignment *out)
{
    levels_ends found;
    area areas[KF_WORD_BITS / 2 + 1];
    uint32_t left = 1;
    uint64_t taken = 0;
    uint32_t joined = 0;
    uint32_t most = find_levels(rows, ends, &found);
    areas[0] = (area){0, n, 0, m, most, 0};
    while (left > 0) {
        area here = areas[--left];
        uint32_t i = 0;
        uint32_t j = 0;
        write_behind(&here, &blocks);
        for (;;) {
            here.k = longest_inside(&here);
            find_longest(rows, &found, &here, &i, &j);
            if (here.k <= 1) {
                break;
            }
            areas[left++] =
                (area){i + 1, here.high, j + 1, here.to, here.k, here.k};
            taken |= bits_below(i + 1) & ~bits_below(i + 1 - here.k);
            joined += here.k - 1;
            here = (area){here.low,       i + 1 - here.k, here.from,
                          j + 1 - here.k, here.k - 1,     0};
        }
        taken |= walk_area(rows, hits, &here, &blocks);
    }
    finish(taken, joined, out);
}
