/* Aligning one pattern, included by each variant behind align_runs.h: see
 * align_kernel.h. */

/* The positions of a pattern of n <= 64 symbols that occur in the state. */
KF_TARGET KF_INLINE uint64_t find_hits(const kf_align_table *table,
                                       const uint32_t *ids, uint32_t n);

KF_TARGET KF_INLINE uint32_t
slot_of(const kf_align_table *table, uint32_t id)
{
    return (id * table->multiplier) >> table->shift;
}

/* find_hits where there is no better way. */
KF_TARGET KF_INLINE uint64_t
find_hits_singly(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    uint64_t hits = 0;
    for (uint32_t i = n; i-- > 0;) {
        hits += hits + (table->slots[slot_of(table, ids[i])].key == ids[i]);
    }
    return hits;
}

/* What a walk over all hits finds. */
typedef struct {
    uint64_t taken; /* positions that find a partner */
    uint64_t ends;  /* positions at which a run of two ends */
} walked;

/* Without a branch on whether a position finds a partner: the place behind
 * the list is written to, too. */
KF_TARGET KF_INLINE walked
walk_hits(const kf_align_table *table, uint64_t *at_position,
          const uint32_t *ids, uint64_t hits, kf_block *blocks)
{
    walked sum = {0, 0};
    uint64_t allowed = ~(uint64_t)0;
    uint64_t before = 0;
    for (uint64_t rest = hits; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        uint64_t bit = rest & -rest;
        uint64_t mask = table->slots[slot_of(table, ids[i])].mask;
        uint64_t bits = mask & allowed;
        at_position[i] = mask;
        sum.ends |= ((before << 1) & mask) != 0 ? bit : 0;
        before = mask;
        if (blocks != NULL) {
            *blocks = single(i, bits);
            blocks += bits != 0;
        }
        sum.taken |= step(bits, bit, &allowed);
    }
    sum.ends &= hits << 1;
    return sum;
}

KF_TARGET KF_INLINE uint64_t
align_pair(const kf_align_table *table, kf_align_rows *rows,
           const uint32_t *ids, uint32_t n, uint32_t need, kf_block *blocks,
           kf_alignment *out)
{
    uint64_t hits = find_hits(table, ids, n);
    walked all;
    if ((uint32_t)__builtin_popcountll(hits) < need) {
        *out = (kf_alignment){0, 0, 0, 0};
        return hits;
    }
    all = walk_hits(table, rows->levels[0], ids, hits, blocks);
    if (all.ends == 0) {
        finish(all.taken, 0, out);
    }
    else {
        align_runs(rows, n, table->m, hits, all.ends, blocks, out);
    }
    return hits;
}

KF_TARGET static uint64_t
pair(const kf_align_table *table, kf_align_rows *rows, const uint32_t *ids,
     uint32_t n, uint32_t need, kf_block *blocks, kf_alignment *out)
{
    return blocks != NULL ? align_pair(table, rows, ids, n, need, blocks, out)
                          : align_pair(table, rows, ids, n, need, NULL, out);
}

/* Bit-parallel LCS (H. Hyyro, 2004): zero bits of v mark matched state
 * positions; one addition per matched symbol moves them. */
KF_TARGET static uint32_t
lcs(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    uint64_t v = ~(uint64_t)0;
    for (uint64_t rest = find_hits(table, ids, n); rest != 0;
         rest &= rest - 1) {
        uint32_t id = ids[__builtin_ctzll(rest)];
        uint64_t mask = table->slots[slot_of(table, id)].mask;
        uint64_t hits = v & mask;
        v = (v + hits) | (v & ~mask);
    }
    return (uint32_t)__builtin_popcountll(~v & bits_below(table->m));
}
