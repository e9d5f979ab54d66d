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
 * other, so that a long run costs no more than a few short ones. They are of
 * the whole pair: a run is inside an area, the rows and columns between two
 * blocks, where its ends are and none of its rows is taken.
 *
 * Blocks are taken by length, all areas in one sweep from left to right, and
 * then the next shorter length. That is what the recursion takes:
 *
 *  - When the sweep of k begins, no area has a longer run. So the block of an
 *    area that has one of k is its first, by i and then by j.
 *  - Left of that block no run of k is left, else it had come first, and right
 *    of it is an area again, which the sweep has still before it.
 *  - So the sweep leaves no area with a run of k, as the next one needs it.
 *
 * Which block an area takes does not depend on other areas, nor on when it is
 * asked. Between the blocks the walk does the rest. */

/* So few positions of a level are looked at one by one. */
#define KF_FEW 8

/* level[i] = runs[k + by][i] from below = runs[k], for all i from first to
 * last and some behind them; returns the set of those where it is not 0, and
 * adds all words to *columns. by <= first. What it reads and says of
 * positions outside of a level's set means nothing. */
KF_TARGET KF_INLINE uint64_t fill_many(const uint64_t *below, uint32_t by,
                                       uint32_t first, uint32_t last,
                                       uint64_t *level, uint64_t *columns);

/* The i of `rest` at which a run of `by` more symbols than those of below ends
 * inside an area, where sides[i] are its columns and it has k symbols; adds
 * the columns of all of them to *columns. by <= the first of `rest`, which is
 * not empty. */
KF_TARGET KF_INLINE uint64_t find_many(const uint64_t *below, uint32_t by,
                                       uint64_t rest, const uint64_t *sides,
                                       uint32_t k, uint64_t *columns);

/* Eight words become `side`. */
KF_TARGET KF_INLINE void fill_sides(uint64_t *sides, uint64_t side);

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

/* The blocks of two symbols or more, by position in the pattern. */
typedef struct {
    uint64_t rows;    /* positions of the pattern that are in one */
    uint64_t columns; /* of the state */
    uint64_t starts;  /* first positions */
    /* Columns behind the block whose last position is r - 1, columns before
     * the block whose first is r, and its symbols; [0] and [KF_WORD_BITS] are
     * the pair's own ends. */
    uint64_t behind[KF_WORD_BITS + 1];
    uint64_t before[KF_WORD_BITS + 1];
    uint8_t symbols[KF_WORD_BITS];
} taken_blocks;

/* Rows or columns at which `size` free ones end, a power of two: steps of 1,
 * 2, 4, ... as far as they are below it, and of 0 instead of the others. */
KF_TARGET KF_INLINE uint64_t
ends_of_free(uint64_t taken, uint32_t size)
{
    uint64_t ends = ~taken;
    for (uint32_t by = 1; by < KF_WORD_BITS; by *= 2) {
        ends &= ends << ((size - 1) & by);
    }
    return ends;
}

KF_TARGET KF_INLINE void
take_block(taken_blocks *taken, uint32_t i, uint32_t j, uint32_t k)
{
    uint32_t start = i + 1 - k;
    uint64_t left = bits_below(j + 1 - k);
    uint64_t up_to = bits_below(j + 1);
    taken->rows |= bits_below(i + 1) & ~bits_below(start);
    taken->columns |= up_to & ~left;
    taken->starts |= (uint64_t)1 << start;
    taken->behind[i + 1] = ~up_to;
    taken->before[start] = left;
    taken->symbols[start] = (uint8_t)k;
}

/* What a free row's area is. */
typedef struct {
    uint32_t high; /* the first row behind it */
    uint64_t columns;
} area;

KF_TARGET KF_INLINE area
area_of(const taken_blocks *taken, uint32_t i)
{
    uint64_t above = taken->rows & ~bits_below(i);
    uint64_t under = taken->rows & bits_below(i);
    uint32_t low = under != 0 ? 64 - (uint32_t)__builtin_clzll(under) : 0;
    uint32_t high = above != 0 ? (uint32_t)__builtin_ctzll(above) : 64;
    return (area){high, taken->behind[low] & taken->before[high]};
}

/* Where runs of a length may end. */
typedef struct {
    uint64_t rows;
    uint64_t columns;
} run_ends;

/* Of runs that are `by` longer. */
KF_TARGET KF_INLINE run_ends
longer(run_ends of, uint32_t by)
{
    return (run_ends){of.rows & (of.rows << by),
                      of.columns & (of.columns << by)};
}

/* Without those that are not free. */
KF_TARGET KF_INLINE run_ends
free_ends(run_ends of, uint32_t size, const taken_blocks *taken)
{
    return (run_ends){of.rows & ends_of_free(taken->rows, size),
                      of.columns & ends_of_free(taken->columns, size)};
}

/* Plain C gains nothing from words of all rows. */
KF_TARGET KF_INLINE bool
are_many(run_ends of)
{
    return KF_LANES > 1 && __builtin_popcountll(of.rows) > KF_FEW;
}

/* sides[i] are the columns of the area of row i, if it is free. */
KF_TARGET KF_INLINE void
find_sides(uint64_t *sides, const taken_blocks *taken)
{
    uint32_t low = 0;
    uint64_t rest = taken->starts;
    for (;;) {
        uint32_t high = rest != 0 ? (uint32_t)__builtin_ctzll(rest) : 64;
        uint64_t side = taken->behind[low] & taken->before[high];
        for (; low < high; low += 8) {
            fill_sides(&sides[low], side);
        }
        if (rest == 0) {
            return;
        }
        low = high + taken->symbols[high];
        rest &= rest - 1;
    }
}

/* Those at which runs of k = (1 << e) + by symbols inside areas end, level =
 * runs[1 << e]; the k rows up to each are free. */
KF_TARGET KF_INLINE run_ends
find_inside(const uint64_t *level, uint32_t by, uint32_t k, run_ends of,
            uint64_t *sides, const taken_blocks *taken)
{
    run_ends inside = {of.rows, 0};
    area here = {0, 0};
    if (are_many(of)) {
        find_sides(sides, taken);
        inside.rows = find_many(level, by, of.rows, sides, k, &inside.columns);
        return inside;
    }
    for (uint64_t rest = of.rows; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        uint64_t bits;
        here = i >= here.high ? area_of(taken, i) : here;
        bits = level[i] & (level[i - by] << by) & here.columns &
               (here.columns << (k - 1));
        inside.columns |= bits;
        inside.rows &= ~(bits == 0 ? rest & -rest : 0);
    }
    return inside;
}

/* The sweep of k = (1 << e) + by over ends up to which k rows were free when
 * it began; there may be no run of k in their areas. Nor need there be all
 * that is said of the columns. */
KF_TARGET KF_INLINE void
take_runs(const uint64_t *level, uint32_t by, uint32_t k, run_ends of,
          taken_blocks *taken)
{
    uint64_t rest = of.rows;
    area here = {0, 0};
    while (rest != 0) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        uint64_t allowed, bits;
        if (i >= here.high) {
            here = area_of(taken, i);
        }
        allowed = here.columns & (here.columns << (k - 1)) & of.columns;
        bits = level[i] & (level[i - by] << by) & allowed;
        if (bits != 0) {
            uint32_t j = (uint32_t)__builtin_ctzll(bits);
            take_block(taken, i, j, k);
            here.columns &= ~(bits ^ (bits - 1));
            rest &= ~bits_below(i + k);
        }
        else if (allowed != 0) {
            rest &= rest - 1;
        }
        else {
            rest &= ~bits_below(here.high);
        }
    }
}

/* The blocks of 1 << e to most symbols, less than 2 << e. */
KF_TARGET KF_INLINE void
take_level(kf_align_rows *rows, const levels_ends *ends, uint32_t e,
           uint32_t most, taken_blocks *taken)
{
    const uint64_t *level = rows->levels[e];
    uint32_t size = (uint32_t)1 << e;
    run_ends left = {ends->positions[e], ends->columns[e]};
    uint64_t known = 0;
    for (uint32_t k = most; k >= size; k--) {
        run_ends here;
        if (taken->rows != known) {
            known = taken->rows;
            left = free_ends(left, size, taken);
            if (k > size || are_many(left)) {
                left = find_inside(level, 0, size, left, rows->sides, taken);
            }
        }
        here = longer(left, k - size);
        while (k > size && (here.rows == 0 || here.columns == 0)) {
            here = longer(left, --k - size);
        }
        if (k > size && are_many(here)) {
            here = find_inside(level, k - size, k, here, rows->sides, taken);
        }
        take_runs(level, k - size, k, here, taken);
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

/* The rest of an area: positions `rest` of the pattern, those `allowed` of the
 * state. *blocks is the end of the list, or NULL. */
KF_TARGET KF_INLINE uint64_t
walk_area(const kf_align_rows *rows, uint64_t rest, uint64_t allowed,
          kf_block **blocks)
{
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

/* The walks of all areas; blocks: as in align_runs. */
KF_TARGET KF_INLINE uint64_t
walk_areas(const kf_align_rows *rows, uint64_t hits,
           const taken_blocks *blocks, kf_block *list)
{
    uint64_t taken = blocks->rows;
    uint32_t low = 0;
    for (uint64_t rest = blocks->starts; rest != 0; rest &= rest - 1) {
        uint32_t start = (uint32_t)__builtin_ctzll(rest);
        uint32_t k = blocks->symbols[start];
        uint64_t left = blocks->before[start];
        taken |= walk_area(rows, hits & bits_below(start) & ~bits_below(low),
                           blocks->behind[low] & left, &list);
        if (list != NULL) {
            *list++ =
                (kf_block){start, (uint32_t)__builtin_popcountll(left), k};
        }
        low = start + k;
    }
    return taken |
           walk_area(rows, hits & ~bits_below(low),
                     blocks->behind[low] & blocks->before[KF_WORD_BITS],
                     &list);
}

/* Any runs, of a pattern against m symbols. blocks: NULL, or where the list
 * goes, with room for one more than there can be. */
KF_TARGET KF_INLINE void
align_runs(kf_align_rows *rows, uint32_t m, uint64_t hits, uint64_t ends,
           kf_block *blocks, kf_alignment *out)
{
    levels_ends found;
    taken_blocks taken;
    uint32_t most = find_levels(rows, ends, &found);
    uint32_t joined;
    taken.rows = taken.columns = taken.starts = 0;
    taken.behind[0] = ~(uint64_t)0;
    taken.before[KF_WORD_BITS] = bits_below(m);
    for (uint32_t e = 31 - (uint32_t)__builtin_clz(most); e > 0; e--) {
        take_level(rows, &found, e, most, &taken);
        most = ((uint32_t)1 << e) - 1;
    }
    joined = (uint32_t)__builtin_popcountll(taken.rows) -
             (uint32_t)__builtin_popcountll(taken.starts);
    finish(walk_areas(rows, hits, &taken, blocks), joined, out);
}
