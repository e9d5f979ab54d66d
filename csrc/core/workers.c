#include "kato_fast/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

struct kf_workers {
    kf_alloc alloc;
    unsigned threads;
    pthread_mutex_t busy; /* held while a job runs */
    pthread_mutex_t lock; /* of all below but next */
    pthread_cond_t wake;
    pthread_cond_t finished;
    pid_t process; /* whose threads they are; 0: not started */
    unsigned started;
    unsigned long job; /* counts jobs, so that a thread joins each once */
    unsigned working;  /* threads that have not finished the job */
    bool ends;
    size_t pieces;
    atomic_size_t next;
    void (*work)(void *context, size_t piece, unsigned worker);
    void *context;
    pthread_t ids[KF_WORKERS_MAX];
};

typedef struct {
    kf_workers *workers;
    unsigned number;
} start;

kf_status
kf_workers_new(const kf_alloc *alloc, unsigned threads, kf_workers **out,
               kf_error *err)
{
    kf_workers *workers;
    if (threads < 1 || threads > KF_WORKERS_MAX) {
        return kf_fail(err, KF_INVALID, "threads must be from 1 to %u, not %u",
                       KF_WORKERS_MAX, threads);
    }
    workers = kf_allocate_zero(alloc, 1, sizeof *workers);
    if (workers == NULL) {
        return kf_no_memory(err);
    }
    workers->alloc = *alloc;
    workers->threads = threads;
    pthread_mutex_init(&workers->busy, NULL);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->wake, NULL);
    pthread_cond_init(&workers->finished, NULL);
    *out = workers;
    return KF_OK;
}

void
kf_workers_free(kf_workers *workers)
{
    kf_alloc alloc;
    if (workers == NULL) {
        return;
    }
    alloc = workers->alloc;
    if (workers->process == getpid()) { /* else they are another's */
        pthread_mutex_lock(&workers->lock);
        workers->ends = true;
        pthread_cond_broadcast(&workers->wake);
        pthread_mutex_unlock(&workers->lock);
        for (unsigned i = 0; i < workers->started; i++) {
            pthread_join(workers->ids[i], NULL);
        }
        pthread_cond_destroy(&workers->wake);
        pthread_cond_destroy(&workers->finished);
    }
    pthread_mutex_destroy(&workers->lock);
    pthread_mutex_destroy(&workers->busy);
    kf_release(&alloc, workers);
}

unsigned
kf_workers_count(const kf_workers *workers)
{
    return workers->threads;
}

static void
take_pieces(kf_workers *workers, unsigned number)
{
    for (;;) {
        size_t piece =
            atomic_fetch_add_explicit(&workers->next, 1, memory_order_relaxed);
        if (piece >= workers->pieces) {
            return;
        }
        workers->work(workers->context, piece, number);
    }
}

static void *
thread_main(void *argument)
{
    start begin = *(start *)argument;
    kf_workers *workers = begin.workers;
    unsigned long done = 0;
    kf_release(&workers->alloc, argument);
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (workers->job == done && !workers->ends) {
            pthread_cond_wait(&workers->wake, &workers->lock);
        }
        if (workers->ends) {
            break;
        }
        done = workers->job;
        pthread_mutex_unlock(&workers->lock);
        take_pieces(workers, begin.number);
        pthread_mutex_lock(&workers->lock);
        if (--workers->working == 0) {
            pthread_cond_signal(&workers->finished);
        }
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static bool
start_thread(kf_workers *workers)
{
    start *begin = kf_allocate(&workers->alloc, 1, sizeof *begin);
    sigset_t all;
    sigset_t before;
    bool created;
    if (begin == NULL) {
        return false;
    }
    *begin = (start){workers, workers->started + 1};
    /* Signals belong to the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    created = pthread_create(&workers->ids[workers->started], NULL,
                             thread_main, begin) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!created) {
        kf_release(&workers->alloc, begin);
        return false;
    }
    workers->started++;
    return true;
}

/* Fewer threads than wanted are no error: the caller does what is left. */
static void
start_threads(kf_workers *workers)
{
    if (workers->process == getpid()) {
        return;
    }
    if (workers->process != 0) { /* a child: what it inherited is in pieces */
        pthread_mutex_init(&workers->lock, NULL);
        pthread_cond_init(&workers->wake, NULL);
        pthread_cond_init(&workers->finished, NULL);
    }
    workers->process = getpid();
    workers->started = 0;
    workers->job = 0;
    workers->working = 0;
    while (workers->started + 1 < workers->threads && start_thread(workers)) {
    }
}

static void
run_alone(size_t pieces,
          void (*work)(void *context, size_t piece, unsigned worker),
          void *context)
{
    for (size_t piece = 0; piece < pieces; piece++) {
        work(context, piece, 0);
    }
}

void
kf_workers_run(kf_workers *workers, size_t pieces,
               void (*work)(void *context, size_t piece, unsigned worker),
               void *context)
{
    if (pieces < 2 || workers->threads < 2 ||
        pthread_mutex_trylock(&workers->busy) != 0) {
        run_alone(pieces, work, context);
        return;
    }
    start_threads(workers);
    pthread_mutex_lock(&workers->lock);
    workers->work = work;
    workers->context = context;
    workers->pieces = pieces;
    atomic_store(&workers->next, 0);
    workers->working = workers->started;
    workers->job++;
    pthread_cond_broadcast(&workers->wake);
    pthread_mutex_unlock(&workers->lock);
    take_pieces(workers, 0);
    pthread_mutex_lock(&workers->lock);
    while (workers->working > 0) {
        pthread_cond_wait(&workers->finished, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    pthread_mutex_unlock(&workers->busy);
}
