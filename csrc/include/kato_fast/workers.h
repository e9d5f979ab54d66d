/* A small pool of threads that share the pieces of one job.
 *
 * The caller works too, so a pool of one has no threads. One job at a time:
 * whoever finds the pool busy does its job alone, which gives the same
 * answer. Threads are started at the first job that wants them; a child
 * process after a fork starts its own. */
#ifndef KATO_FAST_WORKERS_H
#define KATO_FAST_WORKERS_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stddef.h>

#define KF_WORKERS_MAX 64u

typedef struct kf_workers kf_workers;

/* threads: 1 to KF_WORKERS_MAX, the caller's among them. */
KF_MUST_USE kf_status kf_workers_new(const kf_alloc *alloc, unsigned threads,
                                     kf_workers **out, kf_error *err);

/* Ends the threads. No job may be running. NULL is allowed. */
void kf_workers_free(kf_workers *workers);

unsigned kf_workers_count(const kf_workers *workers);

/* Call work(context, piece, worker) for every piece below `pieces`, each
 * once, in ascending order as far as threads allow; worker is below
 * kf_workers_count and not used by two calls at the same time. Returns when
 * all are done. */
void kf_workers_run(kf_workers *workers, size_t pieces,
                    void (*work)(void *context, size_t piece, unsigned worker),
                    void *context);

#endif
