#include "kato_fast/postings.h"

#include "kernels/postings.h"

#include <string.h>

/* The cost model, measured with AVX2 on a Zen 3: counting a posting takes
 * 0.6 ns in either plan. Then the touch plan visits each posting again, 0.75
 * ns; the sweep looks at the counter of every pattern in the spans and clears
 * it, 2.2 us for all 65,536. They meet at 24 patterns to a posting. Bitmaps
 * are always added: one takes 0.15 us, as much as 250 postings counted, and
 * has more than KF_LIST_DENSE. */
#define SWEEP_PER_TOUCH 24u
/* Shorter lists are not worth the search for the part within the spans. */
#define CLIP_MIN 32u
#define NARROW_MAX 255u
#define SORT_FEW 32u

/* Stands in where the number of bitmaps is not a multiple of 4. */
static const uint64_t no_patterns[KF_SEGMENT_BITMAP_WORDS]
    __attribute__((aligned(64)));

/* --- working memory --- */

const kf_postings_kernel *
kf_postings_kernel_of(kf_cpu_level level)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (level == KF_CPU_AVX512) {
        return &kf_postings_avx512;
    }
    if (level == KF_CPU_AVX2) {
        return &kf_postings_avx2;
    }
#elif defined(__aarch64__) && defined(__GNUC__)
    if (level == KF_CPU_NEON) {
        return &kf_postings_neon;
    }
#endif
    (void)level;
    return &kf_postings_scalar;
}

static void
fill_set_bits(kf_set_bits *set_bits)
{
    memset(set_bits, 0, 256 * sizeof *set_bits);
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned n = 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            if (byte >> bit & 1) {
                set_bits[byte][n++] = (uint8_t)bit;
            }
        }
    }
}

/* Room for the lists of the longest state; what is not used is not touched
 * either. */
kf_status
kf_postings_scratch_new(const kf_alloc *alloc, kf_postings_scratch **out,
                        kf_error *err)
{
    const size_t lists = KF_SYMBOLS_MAX + 4;
    const size_t counts = KF_SEGMENT_ROWS * sizeof(uint16_t);
    const size_t bitmaps = lists * sizeof(uint64_t *);
    const size_t thin = lists * sizeof(kf_thin_list);
    const size_t spans = KF_SEGMENT_ROWS * sizeof(kf_span);
    const size_t marks = KF_SEGMENT_ROWS / 8;
    const size_t bytes = 256 * sizeof(kf_set_bits);
    kf_postings_scratch *scratch = kf_allocate_zero(alloc, 1, sizeof *scratch);
    char *block = kf_allocate(
        alloc, 1, 64 + counts + marks + bitmaps + thin + spans + bytes);
    if (scratch == NULL || block == NULL) {
        kf_release(alloc, block);
        kf_release(alloc, scratch);
        return kf_no_memory(err);
    }
    scratch->alloc = *alloc;
    scratch->block = block;
    block += -(uintptr_t)block & 63;
    memset(block, 0, counts + marks);
    scratch->counts = (uint16_t *)block;
    scratch->marks = (uint64_t *)(block += counts);
    scratch->bitmaps = (const uint64_t **)(block += marks);
    scratch->thin = (kf_thin_list *)(block += bitmaps);
    scratch->spans = (kf_span *)(block += thin);
    scratch->set_bits = (kf_set_bits *)(block += spans);
    fill_set_bits(scratch->set_bits);
    scratch->kernel = kf_postings_kernel_of(kf_cpu_choose());
    *out = scratch;
    return KF_OK;
}

void
kf_postings_scratch_free(kf_postings_scratch *scratch)
{
    kf_alloc alloc;
    if (scratch == NULL) {
        return;
    }
    alloc = scratch->alloc;
    kf_release(&alloc, scratch->block);
    kf_release(&alloc, scratch);
}

/* --- what there is to count --- */

/* The lists of the state in this segment. */
typedef struct {
    uint32_t n_bitmaps;
    uint32_t n_thin;
    uint64_t n_postings; /* in thin lists */
    uint32_t n_spans;
    uint32_t first;      /* of the first span */
    uint32_t end;        /* of the last span */
    bool counts_outside; /* of the spans, too */
} work;

static void
add_list(const kf_segment *segment, uint32_t number,
         kf_postings_scratch *scratch, work *w)
{
    kf_list list = kf_segment_list(segment, number);
    const uint16_t *at = segment->postings + list.start;
    if (list.count == KF_LIST_BITMAP) {
        scratch->bitmaps[w->n_bitmaps++] = (const uint64_t *)at;
    }
    else if (list.count != 0) {
        scratch->thin[w->n_thin++] = (kf_thin_list){at, list.count};
        w->n_postings += list.count;
    }
}

/* From the number of a symbol to its postings are two jumps to places that
 * are seldom in a cache: make each of them for all symbols at once. Inline,
 * since gcc takes a call that does nothing but this for one without effect,
 * and leaves it out. */
static inline __attribute__((always_inline)) void
prefetch_lists(const kf_segment *segment, const kf_postings_key *keys,
               uint32_t n_keys)
{
    for (uint32_t i = 0; i < n_keys; i++) {
        __builtin_prefetch(&segment->groups[keys[i].symbol / KF_GROUP_LISTS]);
    }
    for (uint32_t i = 0; i < n_keys; i++) {
        kf_list list = kf_segment_list(segment, keys[i].symbol);
        const uint16_t *at = segment->postings + list.start;
        __builtin_prefetch(at);
        __builtin_prefetch(at + (list.count < 32 ? list.count : 32));
    }
}

static void
collect_lists(const kf_segment *segment, const kf_postings_key *keys,
              uint32_t n_keys, kf_postings_scratch *scratch, work *w)
{
    for (uint32_t i = 0; i < n_keys; i++) {
        uint32_t symbol = keys[i].symbol;
        uint32_t list;
        uint32_t end;
        add_list(segment, symbol, scratch, w);
        if (keys[i].count == 1) {
            continue;
        }
        kf_segment_more(segment, symbol, &list, &end);
        if (end - list > keys[i].count - 1) {
            end = list + keys[i].count - 1;
        }
        for (; list < end; list++) {
            add_list(segment, list, scratch, w);
        }
    }
}

/* Runs that can reach what they need, neighbours with the same need as
 * one. */
static void
collect_spans(const kf_segment *segment, const uint32_t *need,
              kf_postings_scratch *scratch, work *w)
{
    uint32_t most = w->n_bitmaps + w->n_thin;
    kf_span *spans = scratch->spans;
    kf_span *last = NULL;
    for (uint32_t i = 0; i < segment->header->n_runs; i++) {
        const kf_run *run = &segment->runs[i];
        uint32_t needed = need[run->n];
        if (needed > most || needed > run->n) {
            continue;
        }
        if (last != NULL && last->need == needed && last->end == run->first) {
            last->end = run[1].first;
            continue;
        }
        last = &spans[w->n_spans++];
        *last = (kf_span){run->first, run[1].first, needed};
    }
    w->first = w->n_spans == 0 ? 0 : spans[0].first;
    w->end = w->n_spans == 0 ? 0 : last->end;
}

/* The first of the ascending locals that is at least `limit`. */
static uint32_t
lower_bound(const uint16_t *locals, uint32_t count, uint32_t limit)
{
    const uint16_t *at = locals;
    while (count > 0) {
        uint32_t half = (count + 1) / 2;
        at = at[half - 1] < limit ? at + half : at;
        count -= half;
    }
    return (uint32_t)(at - locals);
}

/* Leave out what lies before the first span and behind the last one. */
static void
clip_lists(const kf_segment *segment, kf_postings_scratch *scratch, work *w)
{
    if (w->first == 0 && w->end == segment->header->n_patterns) {
        return;
    }
    w->n_postings = 0;
    for (uint32_t i = 0; i < w->n_thin; i++) {
        kf_thin_list *list = &scratch->thin[i];
        if (list->count >= CLIP_MIN) {
            uint32_t from = lower_bound(list->locals, list->count, w->first);
            list->count = lower_bound(list->locals, list->count, w->end);
            list->count -= from;
            list->locals += from;
        }
        else {
            w->counts_outside = true;
        }
        w->n_postings += list->count;
    }
}

/* --- counting --- */

/* Four locals with one load, the rest one by one. */
static void
count_narrow(const kf_thin_list *lists, uint32_t n_lists, uint8_t *counts)
{
    for (uint32_t i = 0; i < n_lists; i++) {
        const uint16_t *at = lists[i].locals;
        const uint16_t *end = at + lists[i].count;
        for (; end - at >= 4; at += 4) {
            uint64_t four;
            memcpy(&four, at, sizeof four);
            counts[four & 0xffff]++;
            counts[four >> 16 & 0xffff]++;
            counts[four >> 32 & 0xffff]++;
            counts[four >> 48]++;
        }
        for (; at < end; at++) {
            counts[*at]++;
        }
    }
}

static void
count_wide(const kf_thin_list *lists, uint32_t n_lists, uint16_t *counts)
{
    for (uint32_t i = 0; i < n_lists; i++) {
        for (uint32_t j = 0; j < lists[i].count; j++) {
            counts[lists[i].locals[j]]++;
        }
    }
}

static unsigned
bits_in(uint32_t value)
{
    return value == 0 ? 0 : 32 - (unsigned)__builtin_clz(value);
}

static void
clear_counts(kf_postings_scratch *scratch, const work *w, size_t size)
{
    size_t first = w->counts_outside ? 0 : w->first;
    size_t end = w->counts_outside ? KF_SEGMENT_ROWS : w->end;
    memset((uint8_t *)scratch->counts + first * size, 0, (end - first) * size);
}

static uint32_t
count_all(kf_postings_scratch *scratch, work *w, uint16_t *out)
{
    const kf_postings_kernel *kernel = scratch->kernel;
    bool is_narrow = w->n_thin <= NARROW_MAX;
    bool sweeps =
        w->n_bitmaps == 0 && is_narrow && scratch->plan != KF_PLAN_ADD;
    kf_postings_job job = {
        .bitmaps = scratch->bitmaps,
        .planes = bits_in(w->n_bitmaps + w->n_thin),
        .thin_planes = w->n_postings == 0 ? 0 : bits_in(w->n_thin),
        .narrow = is_narrow ? (uint8_t *)scratch->counts : NULL,
        .wide = is_narrow ? NULL : scratch->counts,
        .spans = scratch->spans,
        .n_spans = w->n_spans,
        .set_bits = scratch->set_bits,
        .out = out,
    };
    uint32_t count;
    while (w->n_bitmaps % 4 != 0) {
        scratch->bitmaps[w->n_bitmaps++] = no_patterns;
    }
    job.n_bitmaps = w->n_bitmaps;
    if (is_narrow) {
        count_narrow(scratch->thin, w->n_thin, job.narrow);
    }
    else {
        count_wide(scratch->thin, w->n_thin, job.wide);
    }
    count = sweeps ? kernel->sweep(&job) : kernel->add(&job);
    if (w->n_postings != 0) {
        clear_counts(scratch, w, is_narrow ? 1 : 2);
    }
    return count;
}

/* --- a few postings: nothing else is looked at --- */

/* The span that has the local, NULL where none has. */
static const kf_span *
find_span(const kf_span *spans, uint32_t n_spans, uint32_t local)
{
    while (n_spans > 1) {
        uint32_t half = n_spans / 2;
        spans = spans[half].first <= local ? spans + half : spans;
        n_spans -= half;
    }
    return spans->first <= local && local < spans->end ? spans : NULL;
}

/* Few by insertion, many through a bitmap. */
static void
sort_locals(uint16_t *locals, uint32_t n, uint64_t *marks)
{
    if (n <= SORT_FEW) {
        for (uint32_t i = 1; i < n; i++) {
            uint16_t local = locals[i];
            uint32_t j = i;
            for (; j > 0 && locals[j - 1] > local; j--) {
                locals[j] = locals[j - 1];
            }
            locals[j] = local;
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        marks[locals[i] / 64] |= (uint64_t)1 << (locals[i] % 64);
    }
    for (uint32_t word = 0; word < KF_SEGMENT_BITMAP_WORDS; word++) {
        for (; marks[word] != 0; marks[word] &= marks[word] - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(marks[word]);
            *locals++ = (uint16_t)(64 * word + bit);
        }
    }
}

/* Count down again what was counted; the first visit of a local sees its
 * whole count. */
static uint32_t
harvest(const kf_postings_scratch *scratch, const work *w, uint32_t least,
        uint16_t *out)
{
    uint8_t *counts = (uint8_t *)scratch->counts;
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n_thin; i++) {
        const uint16_t *at = scratch->thin[i].locals;
        const uint16_t *end = at + scratch->thin[i].count;
        for (; at < end; at++) {
            uint32_t count = counts[*at];
            counts[*at] = 0;
            if (count >= least) {
                const kf_span *span =
                    find_span(scratch->spans, w->n_spans, *at);
                out[n] = *at;
                n += span != NULL && count >= span->need;
            }
        }
    }
    return n;
}

static uint32_t
count_touched(kf_postings_scratch *scratch, const work *w, uint16_t *out)
{
    uint32_t least = UINT32_MAX;
    uint32_t n;
    for (uint32_t i = 0; i < w->n_spans; i++) {
        uint32_t need = scratch->spans[i].need;
        least = need < least ? need : least;
    }
    count_narrow(scratch->thin, w->n_thin, (uint8_t *)scratch->counts);
    n = harvest(scratch, w, least, out);
    sort_locals(out, n, scratch->marks);
    return n;
}

/* --- choosing --- */

static bool
is_touched(const kf_postings_scratch *scratch, const work *w)
{
    /* harvest() writes at the count it has so far: that must be less than out
     * has room for. */
    if (w->n_bitmaps != 0 || w->n_thin > NARROW_MAX ||
        w->n_postings >= KF_SEGMENT_ROWS) {
        return false;
    }
    if (scratch->plan != KF_PLAN_BY_COST) {
        return scratch->plan == KF_PLAN_TOUCH;
    }
    return w->n_postings * SWEEP_PER_TOUCH < w->end - w->first;
}

uint32_t
kf_postings_candidates(const kf_segment *segment, const kf_postings_key *keys,
                       uint32_t n_keys, const uint32_t *need,
                       kf_postings_scratch *scratch, uint16_t *out)
{
    work w = {0};
    prefetch_lists(segment, keys, n_keys);
    collect_lists(segment, keys, n_keys, scratch, &w);
    collect_spans(segment, need, scratch, &w);
    if (w.n_spans == 0) {
        return 0;
    }
    clip_lists(segment, scratch, &w);
    return is_touched(scratch, &w) ? count_touched(scratch, &w, out)
                                   : count_all(scratch, &w, out);
}
