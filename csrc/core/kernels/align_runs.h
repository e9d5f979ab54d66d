/* The alignment around the walk, included once by each variant: see
 * align_kernel.h.
 *
 * Bit i of a word of pattern positions stands for position i; bit j of a
 * word of state positions for position j.
 *
 * The walk takes positions of the pattern from left to right, each with the
 * earliest allowed position of the state. That is the whole answer where no
 * two neighbours of the pattern are neighbours in the state, too: the longest
 * run is then one symbol, the chosen block is the first position that finds
 * a partner, nothing is left of it, and the same holds behind it.
 *
 * The other patterns wait until the block is walked, and are done one after
 * the other: their runs of k symbols end at i and j where
 *
 *     levels[k][i] = (levels[k - 1][i - 1] << 1) & levels[k - 1][i]
 *
 * has bit j. A sub-problem takes, for k from the longest downwards, the first
 * i and then the first j of a run that lies inside it. Left of that no run of
 * k is left, else it had come first; so k only falls on the left and never
 * rises on the right. Between the runs the walk does the rest. */

/* So few positions of a level are looked at one by one. */
#define KF_FEW 8

typedef struct {
    uint64_t hits[KF_LANES];    /* positions that occur in the state */
    uint64_t ends[KF_LANES];    /* positions at which a run of two ends */
    uint64_t taken[KF_LANES];   /* positions that find a partner */
    uint64_t symbols[KF_LANES]; /* state positions of all hits */
} walk;

/* All four, of the first n positions of KF_LANES patterns. */
KF_TARGET KF_INLINE void walk_lanes(const kf_align_local *local,
                                    const kf_align_task *lanes, uint32_t n,
                                    uint32_t id_bytes, walk *out);

/* levels[k + 1][i] from below = levels[k] for all i from first to last, and
 * some behind them; returns the set of those where it is not 0. What it reads
 * and says of positions outside of a level's set means nothing. */
KF_TARGET KF_INLINE uint64_t fill_many(const uint64_t *below, uint32_t first,
                                       uint32_t last, uint64_t *level);

/* A pattern that waits. */
typedef struct {
    uint64_t hits;
    uint64_t ends;
    uint32_t task;
} waiting;

/* Pattern positions low..high-1 against the state's positions from..to-1,
 * where no run is longer than k. */
typedef struct {
    uint32_t low;
    uint32_t high;
    uint32_t from;
    uint32_t to;
    uint32_t k;
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

/* Exactly one position ends a run, so there is one run, of two symbols. */
KF_TARGET KF_INLINE void
align_one_run(const kf_align_local *local, const void *ids, uint32_t id_bytes,
              const waiting *one, kf_alignment *out)
{
    uint32_t i = (uint32_t)__builtin_ctzll(one->ends);
    uint64_t ends = (kf_align_mask(local, ids, i - 1, id_bytes) << 1) &
                    kf_align_mask(local, ids, i, id_bytes);
    uint64_t left = bits_below(i - 1);
    uint64_t left_of_run = ((ends & -ends) - 1) >> 1;
    uint64_t right_of_run = ~(ends ^ (ends - 1));
    uint64_t taken = (uint64_t)3 << (i - 1);
    uint64_t allowed = ~(uint64_t)0;
    for (uint64_t rest = one->hits & ~taken; rest != 0; rest &= rest - 1) {
        uint64_t bit = rest & -rest;
        uint64_t side = bit & left ? left_of_run : right_of_run;
        uint64_t mask = kf_align_mask(
            local, ids, (uint32_t)__builtin_ctzll(rest), id_bytes);
        taken |= step(mask & side & allowed, bit, &allowed);
    }
    finish(taken, 1, out);
}

/* level[i] for every i of `next`; returns where it is not 0. */
KF_TARGET KF_INLINE uint64_t
fill_few(const uint64_t *below, uint64_t next, uint64_t *level)
{
    uint64_t found = next;
    for (uint64_t rest = next; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        level[i] = (below[i - 1] << 1) & below[i];
        found &= ~((uint64_t)(level[i] == 0) << i);
    }
    return found;
}

/* Fill levels[2] and up. positions[k]: where runs of k end. Returns the
 * longest k. */
KF_TARGET KF_INLINE uint32_t
find_levels(kf_align_local *local, const waiting *one, uint64_t *positions)
{
    const uint64_t *below = local->at_position;
    uint64_t next = one->ends;
    uint32_t k = 1;
    while (next != 0) {
        uint64_t *level = local->levels[k + 1];
        if (__builtin_popcountll(next) <= KF_FEW) {
            next = fill_few(below, next, level);
        }
        else {
            next &= fill_many(below, (uint32_t)__builtin_ctzll(next),
                              63 - (uint32_t)__builtin_clzll(next), level);
        }
        if (next == 0) {
            break;
        }
        positions[++k] = next;
        next &= next << 1;
        below = level;
    }
    return k;
}

/* The first run of here->k symbols inside the area: its last positions. */
KF_TARGET KF_INLINE bool
find_run(const kf_align_local *local, const uint64_t *positions,
         const area *here, uint32_t *i, uint32_t *j)
{
    uint64_t allowed =
        bits_below(here->to) & ~bits_below(here->from + here->k - 1);
    uint64_t rest = positions[here->k] & bits_below(here->high) &
                    ~bits_below(here->low + here->k - 1);
    for (; rest != 0; rest &= rest - 1) {
        uint64_t bits;
        *i = (uint32_t)__builtin_ctzll(rest);
        bits = local->levels[here->k][*i] & allowed;
        if (bits != 0) {
            *j = (uint32_t)__builtin_ctzll(bits);
            return true;
        }
    }
    return false;
}

KF_TARGET KF_INLINE uint64_t
walk_area(const kf_align_local *local, uint64_t hits, const area *here)
{
    uint64_t allowed = bits_below(here->to) & ~bits_below(here->from);
    uint64_t rest = hits & bits_below(here->high) & ~bits_below(here->low);
    uint64_t taken = 0;
    for (; rest != 0; rest &= rest - 1) {
        uint64_t mask = local->at_position[__builtin_ctzll(rest)];
        taken |= step(mask & allowed, rest & -rest, &allowed);
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

/* Any runs. At most 32 blocks have two symbols or more, and each leaves one
 * area behind. */
KF_TARGET KF_INLINE void
align_runs(kf_align_local *local, uint32_t n, const waiting *one,
           kf_alignment *out)
{
    uint64_t positions[KF_WORD_BITS + 2];
    area areas[KF_WORD_BITS / 2 + 1];
    uint32_t left = 1;
    uint64_t taken = 0;
    uint32_t joined = 0;
    areas[0] = (area){0, n, 0, local->m, find_levels(local, one, positions)};
    while (left > 0) {
        area here = areas[--left];
        uint32_t i = 0;
        uint32_t j = 0;
        here.k = longest_inside(&here);
        while (here.k > 1) {
            if (!find_run(local, positions, &here, &i, &j)) {
                here.k--;
                continue;
            }
            areas[left++] = (area){i + 1, here.high, j + 1, here.to, here.k};
            taken |= bits_below(i + 1) & ~bits_below(i + 1 - here.k);
            joined += here.k - 1;
            here = (area){here.low, i + 1 - here.k, here.from, j + 1 - here.k,
                          here.k - 1};
            here.k = longest_inside(&here);
        }
        taken |= walk_area(local, one->hits, &here);
    }
    finish(taken, joined, out);
}

KF_TARGET KF_INLINE void
align_waiting(kf_align_local *local, const kf_align_task *task,
              uint32_t id_bytes, const waiting *one, kf_alignment *out)
{
    if ((one->ends & (one->ends - 1)) == 0) {
        align_one_run(local, task->ids, id_bytes, one, out);
        return;
    }
    for (uint64_t rest = one->hits; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        local->at_position[i] = kf_align_mask(local, task->ids, i, id_bytes);
    }
    align_runs(local, task->n, one, out);
}

/* Patterns with runs are put aside without a branch: whether there is one
 * cannot be predicted. */
KF_TARGET KF_INLINE void
align_block(kf_align_local *local, uint32_t id_bytes,
            const kf_align_task *tasks, uint32_t count, kf_alignment *out,
            uint64_t *symbols)
{
    waiting later[KF_ALIGN_BLOCK + KF_LANES];
    uint32_t n_later = 0;
    for (uint32_t from = 0; from < count; from += KF_LANES) {
        kf_align_task lanes[KF_LANES];
        walk walked;
        uint32_t n = 0;
        for (uint32_t lane = 0; lane < KF_LANES; lane++) {
            uint32_t c = from + lane < count ? from + lane : count - 1;
            lanes[lane] = tasks[c];
            n = lanes[lane].n;
        }
        walk_lanes(local, lanes, n, id_bytes, &walked);
        for (uint32_t lane = 0; lane < KF_LANES && from + lane < count;
             lane++) {
            uint64_t inside = bits_below(lanes[lane].n);
            uint64_t hits = walked.hits[lane] & inside;
            uint64_t ends = walked.ends[lane] & inside;
            bool enough =
                (uint32_t)__builtin_popcountll(hits) >= lanes[lane].need;
            uint64_t kept = (uint64_t)0 - enough;
            finish(walked.taken[lane] & inside & kept, 0, &out[from + lane]);
            later[n_later] = (waiting){hits, ends, from + lane};
            n_later += (ends & kept) != 0;
            if (symbols != NULL) {
                symbols[from + lane] = walked.symbols[lane];
            }
        }
    }
    for (uint32_t w = 0; w < n_later; w++) {
        uint32_t c = later[w].task;
        align_waiting(local, &tasks[c], id_bytes, &later[w], &out[c]);
    }
}

KF_TARGET KF_INLINE void
align_any(kf_align_local *local, uint32_t id_bytes, const kf_align_task *tasks,
          uint32_t count, kf_alignment *out, uint64_t *symbols)
{
    if (id_bytes == 2) {
        align_block(local, 2, tasks, count, out, symbols);
    }
    else {
        align_block(local, 4, tasks, count, out, symbols);
    }
}
