#include "kato_fast/align_local.h"

#include "kato_fast/align_words.h"
#include "kato_fast/symbols.h"
#include "kernels/align_kernel.h"

const kf_align_variant *
kf_align_variant_of(kf_cpu_level level)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (level == KF_CPU_AVX512) {
        return &kf_align_avx512;
    }
    if (level == KF_CPU_AVX2) {
        return &kf_align_avx2;
    }
#elif defined(__aarch64__) && defined(__GNUC__)
    if (level == KF_CPU_NEON) {
        return &kf_align_neon;
    }
#endif
    (void)level;
    return &kf_align_scalar;
}

kf_status
kf_align_local_new(const kf_alloc *alloc, kf_cpu_level level,
                   kf_align_local **out, kf_error *err)
{
    kf_align_local *local = kf_allocate_zero(alloc, 1, sizeof *local);
    if (local == NULL) {
        return kf_no_memory(err);
    }
    local->alloc = *alloc;
    local->kernel = kf_align_variant_of(level)->many;
    *out = local;
    return KF_OK;
}

void
kf_align_local_free(kf_align_local *local)
{
    kf_alloc alloc;
    if (local == NULL) {
        return;
    }
    alloc = local->alloc;
    kf_release(&alloc, local->numbers);
    kf_release(&alloc, local->at);
    kf_release(&alloc, local->mask);
    kf_release(&alloc, local->level);
    kf_release(&alloc, local);
}

/* --- preparing --- */

static void
forget_state(kf_align_local *local)
{
    for (uint32_t d = 0; d < local->n_distinct; d++) {
        local->numbers[local->distinct[d]] = 0;
    }
    local->n_distinct = 0;
    local->known = 0;
    local->m = 0;
}

/* The table is all 0 whenever it is replaced. */
static bool
ensure_numbers(kf_align_local *local, uint32_t n_symbols)
{
    uint8_t *numbers;
    if (n_symbols <= local->n_numbers) {
        return true;
    }
    numbers = kf_allocate_zero(&local->alloc, n_symbols, sizeof *numbers);
    if (numbers == NULL) {
        return false;
    }
    kf_release(&local->alloc, local->numbers);
    local->numbers = numbers;
    local->n_numbers = n_symbols;
    return true;
}

/* Room for the hits of a pattern of n_max symbols. */
static bool
ensure_hits(kf_align_local *local, uint32_t n_max)
{
    const kf_alloc *alloc = &local->alloc;
    if (n_max <= KF_WORD_BITS || n_max <= local->n_max) {
        return true;
    }
    kf_release(alloc, local->at);
    kf_release(alloc, local->mask);
    kf_release(alloc, local->level);
    local->n_max = 0;
    /* One more: a position is stored before it is known to be a hit. */
    local->at = kf_allocate(alloc, (size_t)n_max + 1, sizeof *local->at);
    local->mask = kf_allocate(alloc, (size_t)n_max + 1, sizeof *local->mask);
    local->level = kf_allocate(alloc, n_max, sizeof *local->level);
    if (local->at == NULL || local->mask == NULL || local->level == NULL) {
        return false;
    }
    local->n_max = n_max;
    return true;
}

kf_status
kf_align_local_prepare(kf_align_local *local, const uint32_t *locals,
                       uint32_t m, uint32_t n_symbols, uint32_t n_max,
                       kf_error *err)
{
    forget_state(local);
    if (!ensure_numbers(local, n_symbols) || !ensure_hits(local, n_max)) {
        return kf_no_memory(err);
    }
    local->m = m;
    for (uint32_t j = 0; j < m; j++) {
        uint8_t *number;
        if (locals[j] == KF_SYMBOL_NONE) {
            continue;
        }
        number = &local->numbers[locals[j]];
        if (*number == 0) {
            local->distinct[local->n_distinct++] = locals[j];
            *number = (uint8_t)local->n_distinct;
            local->masks[*number] = 0;
        }
        local->masks[*number] |= (uint64_t)1 << j;
        local->known |= (uint64_t)1 << j;
    }
    return KF_OK;
}

uint64_t
kf_align_local_known(const kf_align_local *local)
{
    return local->known;
}

/* --- patterns of more than 64 symbols --- */

/* Without a branch, see find_words in align.c. */
static void
find_hits(kf_align_local *local, const void *ids, uint32_t n,
          uint32_t id_bytes, kf_align_words *out)
{
    uint64_t before = 0;
    uint64_t runs = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t mask = kf_align_mask(local, ids, i, id_bytes);
        runs |= (before << 1) & mask;
        before = mask;
        local->at[count] = i;
        local->mask[count] = mask;
        count += mask != 0;
    }
    *out = (kf_align_words){count, local->at, local->mask, local->level,
                            runs != 0};
}

static uint64_t
all_symbols(const kf_align_words *words)
{
    uint64_t symbols = 0;
    for (uint32_t p = 0; p < words->count; p++) {
        symbols |= words->mask[p];
    }
    return symbols;
}

static void
align_long(kf_align_local *local, uint32_t id_bytes, const kf_align_task *task,
           kf_alignment *out, uint64_t *symbols)
{
    kf_align_words words;
    if (id_bytes == 2) {
        find_hits(local, task->ids, task->n, 2, &words);
    }
    else {
        find_hits(local, task->ids, task->n, 4, &words);
    }
    *out = (kf_alignment){0, 0, 0, 0};
    if (words.count >= task->need) {
        kf_align_words_run(&words, local->m, NULL, out);
    }
    if (symbols != NULL) {
        *symbols = all_symbols(&words);
    }
}

/* --- batches --- */

/* A place in a batch: what comes next, and the run it is in. */
typedef struct {
    const kf_align_source *source;
    const uint16_t *patterns;
    size_t count;
    size_t next;
    const kf_run *run;
} cursor;

/* The task of the next pattern; prefetched, since patterns are anywhere in
 * the segment and wait for their turn until the block before is done. */
static kf_align_task
next_task(cursor *at)
{
    uint32_t pattern = at->patterns[at->next++];
    size_t offset;
    kf_align_task task;
    const char *ids;
    while (pattern >= at->run[1].first) {
        at->run++;
    }
    offset =
        at->run->offset + (uint64_t)(pattern - at->run->first) * at->run->n;
    ids = (const char *)at->source->ids + offset * at->source->id_bytes;
    task = (kf_align_task){ids, at->run->n, at->source->need[at->run->n]};
    __builtin_prefetch(ids);
    __builtin_prefetch(ids + (size_t)task.n * at->source->id_bytes - 1);
    return task;
}

/* Up to KF_ALIGN_BLOCK tasks; their number. */
static uint32_t
next_block(cursor *at, kf_align_task *tasks)
{
    uint32_t count = 0;
    while (count < KF_ALIGN_BLOCK && at->next < at->count) {
        tasks[count++] = next_task(at);
    }
    return count;
}

static void
align_tasks(kf_align_local *local, uint32_t id_bytes,
            const kf_align_task *tasks, uint32_t count, kf_alignment *out,
            uint64_t *symbols)
{
    uint32_t n_short = count;
    while (n_short > 0 && tasks[n_short - 1].n > KF_WORD_BITS) {
        n_short--;
    }
    if (n_short > 0) {
        local->kernel(local, id_bytes, tasks, n_short, out, symbols);
    }
    for (uint32_t c = n_short; c < count; c++) {
        align_long(local, id_bytes, &tasks[c], &out[c],
                   symbols != NULL ? &symbols[c] : NULL);
    }
}

void
kf_align_local_many(kf_align_local *local, const kf_align_source *source,
                    const uint16_t *patterns, size_t count, kf_alignment *out,
                    uint64_t *symbols)
{
    cursor at = {source, patterns, count, 0, source->runs};
    kf_align_task blocks[2][KF_ALIGN_BLOCK];
    uint32_t ready = next_block(&at, blocks[0]);
    for (size_t done = 0, b = 0; ready > 0; b ^= 1) {
        uint32_t now = ready;
        ready = next_block(&at, blocks[b ^ 1]);
        align_tasks(local, source->id_bytes, blocks[b], now, out + done,
                    symbols != NULL ? symbols + done : NULL);
        done += now;
    }
}

uint64_t
kf_align_local_seen(const kf_align_local *local, const void *ids,
                    uint32_t id_bytes, uint32_t from, uint32_t end)
{
    uint64_t seen = 0;
    for (uint32_t i = from; i < end; i++) {
        seen |= kf_align_mask(local, ids, i, id_bytes);
    }
    return seen;
}
