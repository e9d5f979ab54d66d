/* Aligning batches, included by each variant behind align_runs.h: see
 * align_kernel.h. Every pattern is walked; those with runs wait until the
 * block is walked, and are done one after the other. */

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

/* A pattern that waits. */
typedef struct {
    uint64_t hits;
    uint64_t ends;
    uint32_t task;
} waiting;

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

/* A function of its own, so that the walk keeps the registers. */
KF_TARGET static __attribute__((noinline)) void
align_waiting(kf_align_local *local, const kf_align_task *task,
              uint32_t id_bytes, const waiting *one, kf_alignment *out)
{
    if ((one->ends & (one->ends - 1)) == 0) {
        align_one_run(local, task->ids, id_bytes, one, out);
        return;
    }
    for (uint64_t rest = one->hits; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        local->rows.levels[0][i] =
            kf_align_mask(local, task->ids, i, id_bytes);
    }
    align_runs(&local->rows, task->n, local->m, one->hits, one->ends, NULL,
               out);
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
