/* The kernels of kernels/postings.h for one instruction set. Included once
 * by each file that has defined
 *
 *   TARGET     attributes of every function
 *   VEC_WORDS  words of 64 bits in a vector
 *   bits_of(counters, bit)   64 byte counters -> word of one of their bits
 *   at_least(counters, need) 64 byte counters -> word of those that reach it
 *   emit(set_bits, word, first, out)
 *             write first + the numbers of the set bits to out, return the
 *             end; may write up to 8 items behind it
 *
 * Nothing but and, or, xor and shifts: every variant gives the same. */

#define VEC_BITS (VEC_WORDS * 64)
/* Bytes to fetch ahead of a bitmap that comes from the third cache or from
 * memory: with 1 and 6 lines it took 10 % longer than with 3. */
#define AHEAD 192u
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef uint64_t vec __attribute__((vector_size(VEC_WORDS * 8), may_alias));

/* Bits of the patterns of the word that are in the span. */
INLINE uint64_t
in_span(const kf_span *span, uint32_t first)
{
    uint64_t bits = UINT64_MAX;
    if (span->first > first) {
        bits = span->first - first < 64 ? bits << (span->first - first) : 0;
    }
    if (span->end < first + 64) {
        bits &= span->end > first ? UINT64_MAX >> (first + 64 - span->end) : 0;
    }
    return bits;
}

TARGET static uint32_t
sweep(const kf_postings_job *job)
{
    uint16_t *out = job->out;
    for (uint32_t i = 0; i < job->n_spans; i++) {
        kf_span span = job->spans[i];
        for (uint32_t first = span.first / 64 * 64; first < span.end;
             first += 64) {
            uint64_t word = at_least(job->narrow + first, span.need);
            if (word != 0) {
                out = emit(job->set_bits, word & in_span(&span, first), first,
                           out);
            }
        }
    }
    return (uint32_t)(out - job->out);
}

/* *sum, a and b -> *sum, and the carry. */
INLINE vec
carry_save(vec *sum, vec a, vec b)
{
    vec both = *sum ^ a;
    vec carry = (*sum & a) | (both & b);
    *sum = both ^ b;
    return carry;
}

INLINE vec
load(const uint64_t *bitmap, uint32_t word)
{
    return *(const vec *)(bitmap + word);
}

/* The place may be behind the bitmap: not a pointer until it is used. */
INLINE void
fetch_ahead(const uint64_t *bitmap, uint32_t word)
{
    uintptr_t at = (uintptr_t)bitmap + 8 * (size_t)word + AHEAD;
    __builtin_prefetch((const void *)at);
}

/* Four bitmaps at a time: two carries of weight 2 make one of weight 4. */
INLINE void
add_bitmaps(const kf_postings_job *job, uint32_t word, vec *planes,
            const unsigned n_planes)
{
    const uint64_t *const *at = job->bitmaps;
    const uint64_t *const *end = at + job->n_bitmaps;
    for (; at < end; at += 4) {
        for (unsigned i = 0; i < 4; i++) {
            fetch_ahead(at[i], word);
        }
        vec low = carry_save(&planes[0], load(at[0], word), load(at[1], word));
        vec high =
            carry_save(&planes[0], load(at[2], word), load(at[3], word));
        vec carry = carry_save(&planes[1], low, high);
        for (unsigned p = 2; p < n_planes; p++) {
            vec sum = planes[p] ^ carry;
            carry &= planes[p];
            planes[p] = sum;
        }
    }
}

INLINE vec
thin_plane(const uint8_t *counters, unsigned bit)
{
    vec plane = {0};
    for (unsigned i = 0; i < VEC_WORDS; i++) {
        plane[i] = bits_of(counters + 64 * i, bit);
    }
    return plane;
}

INLINE void
add_counters(const uint8_t *counters, unsigned n_thin, unsigned from,
             vec *planes, const unsigned n_planes)
{
    vec carry = {0};
    for (unsigned p = from; p < n_planes; p++) {
        if (p - from < n_thin) {
            carry =
                carry_save(&planes[p], thin_plane(counters, p - from), carry);
        }
        else {
            vec sum = planes[p] ^ carry;
            carry &= planes[p];
            planes[p] = sum;
        }
    }
}

/* Both bytes of wide counters, one after the other. */
TARGET static void
add_wide(const uint16_t *counters, unsigned n_thin, vec *planes,
         unsigned n_planes)
{
    uint8_t bytes[VEC_BITS] __attribute__((aligned(64)));
    for (unsigned i = 0; i < VEC_BITS; i++) {
        bytes[i] = (uint8_t)counters[i];
    }
    add_counters(bytes, n_thin < 8 ? n_thin : 8, 0, planes, n_planes);
    for (unsigned i = 0; i < VEC_BITS; i++) {
        bytes[i] = (uint8_t)(counters[i] >> 8);
    }
    if (n_thin > 8) {
        add_counters(bytes, n_thin - 8, 8, planes, n_planes);
    }
}

/* From the lowest plane up: a pattern is ahead where its bit is 1 and the
 * bit of `need` 0, behind where it is the other way round. */
INLINE vec
reached(const vec *planes, const unsigned n_planes, uint32_t need)
{
    vec ahead = ~(vec){0};
    for (unsigned p = 0; p < n_planes; p++) {
        ahead = need >> p & 1 ? ahead & planes[p] : ahead | planes[p];
    }
    return ahead;
}

INLINE vec
span_bits(const kf_span *span, uint32_t first)
{
    vec bits = {0};
    for (unsigned i = 0; i < VEC_WORDS; i++) {
        bits[i] = in_span(span, first + 64 * i);
    }
    return bits;
}

INLINE uint16_t *
emit_vector(const kf_set_bits *set_bits, vec bits, uint32_t first,
            uint16_t *out)
{
    for (unsigned i = 0; i < VEC_WORDS; i++) {
        if (bits[i] != 0) {
            out = emit(set_bits, bits[i], first + 64 * i, out);
        }
    }
    return out;
}

/* What of the vector passes. *at: the first span that may reach into it. */
INLINE vec
select_spans(const kf_postings_job *job, const kf_span **at, uint32_t first,
             const vec *planes, const unsigned n_planes)
{
    const kf_span *end = job->spans + job->n_spans;
    const kf_span *span = *at;
    vec bits = {0};
    if (span->first <= first && span->end >= first + VEC_BITS) {
        return reached(planes, n_planes, span->need);
    }
    for (; span < end && span->first < first + VEC_BITS; span++) {
        bits |= reached(planes, n_planes, span->need) & span_bits(span, first);
        if (span->end > first + VEC_BITS) {
            break;
        }
    }
    *at = span < end ? span : end - 1;
    return bits;
}

INLINE uint32_t
add_planes(const kf_postings_job *job, const unsigned n_planes)
{
    const kf_span *span = job->spans;
    uint32_t end = job->spans[job->n_spans - 1].end;
    uint32_t first = span->first / VEC_BITS * VEC_BITS;
    uint16_t *out = job->out;
    for (; first < end; first += VEC_BITS) {
        vec planes[16] = {{0}};
        add_bitmaps(job, first / 64, planes, n_planes);
        if (job->narrow != NULL && job->thin_planes != 0) {
            add_counters(job->narrow + first, job->thin_planes, 0, planes,
                         n_planes);
        }
        else if (job->thin_planes != 0) {
            add_wide(job->wide + first, job->thin_planes, planes, n_planes);
        }
        out = emit_vector(job->set_bits,
                          select_spans(job, &span, first, planes, n_planes),
                          first, out);
    }
    return (uint32_t)(out - job->out);
}

/* A constant number of planes stays in registers. */
TARGET static uint32_t
add(const kf_postings_job *job)
{
    if (job->planes <= 3) {
        return add_planes(job, 3);
    }
    if (job->planes <= 5) {
        return add_planes(job, 5);
    }
    if (job->planes <= 7) {
        return add_planes(job, 7);
    }
    return add_planes(job, 16);
}
