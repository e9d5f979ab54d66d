/* What counting postings asks of each instruction set. Internal. */
#ifndef KATO_FAST_KERNELS_POSTINGS_H
#define KATO_FAST_KERNELS_POSTINGS_H

#include "kato_fast/cpu.h"
#include "kato_fast/postings.h"

#include <stdbool.h>
#include <stdint.h>

/* Patterns first..end-1 pass with a count of at least `need`. */
typedef struct {
    uint32_t first;
    uint32_t end;
    uint32_t need;
} kf_span;

/* The numbers of a byte's set bits, ascending, then zeros. */
typedef uint8_t kf_set_bits[8];

/* Part of an array list. */
typedef struct {
    const uint16_t *locals;
    uint32_t count;
} kf_thin_list;

/* One segment's counting. Bitmaps and counters are aligned to 64 bytes. */
typedef struct {
    const uint64_t *const *bitmaps; /* n_bitmaps, a multiple of 4 */
    uint32_t n_bitmaps;
    unsigned planes;      /* 1 << planes is more than any count */
    unsigned thin_planes; /* the same for the counters; 0: all are 0 */
    uint8_t *narrow;      /* counters by local, or NULL: see wide */
    uint16_t *wide;       /* counters by local, where narrow is NULL */
    const kf_span *spans; /* ascending, at least one */
    uint32_t n_spans;
    const kf_set_bits *set_bits; /* of all bytes */
    uint16_t *out;
} kf_postings_job;

/* Both return how many locals they wrote to out, ascending, and leave the
 * counters of the spans as they are. */
typedef struct {
    /* Compares narrow counters; there are no bitmaps. */
    uint32_t (*sweep)(const kf_postings_job *job);
    /* Adds the bitmaps, and the counters, bit by bit. */
    uint32_t (*add)(const kf_postings_job *job);
} kf_postings_kernel;

extern const kf_postings_kernel kf_postings_scalar;
#if defined(__x86_64__) && defined(__GNUC__)
extern const kf_postings_kernel kf_postings_avx2;
extern const kf_postings_kernel kf_postings_avx512;
#elif defined(__aarch64__) && defined(__GNUC__)
extern const kf_postings_kernel kf_postings_neon;
#endif

/* level: one that kf_cpu_has. */
const kf_postings_kernel *kf_postings_kernel_of(kf_cpu_level level);

typedef enum {
    KF_PLAN_BY_COST,
    KF_PLAN_TOUCH, /* count, look at what was touched, count back */
    KF_PLAN_SWEEP, /* count, look at all counters */
    KF_PLAN_ADD    /* add bitmaps; count only what has none */
} kf_postings_plan;

struct kf_postings_scratch {
    kf_alloc alloc;
    void *block;      /* owned; the arrays are in it */
    uint16_t *counts; /* KF_SEGMENT_ROWS of 1 or 2 bytes; all 0 at rest */
    uint64_t *marks;  /* a bit per local; all 0 at rest */
    const uint64_t **bitmaps;
    kf_thin_list *thin;
    kf_span *spans;
    kf_set_bits *set_bits; /* 256 */
    const kf_postings_kernel *kernel;
    kf_postings_plan plan; /* for tests */
};

#endif
