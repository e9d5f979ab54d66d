#include "wire/redis_pool.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PAUSE 0.1
#define LAST_PAUSE 0.5
#define TIMEOUTS_IN_A_ROW 3

/* A place for one connection, busy or idle. */
typedef struct {
    kf_redis *redis;
    uint64_t generation;
    bool busy;
    uint64_t used; /* when it came back: the pool's own count */
} slot;

struct kf_redis_pool {
    const kf_alloc *alloc;
    kf_redis_address address;
    double wait_seconds;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t free_slot;
    bool closed;
    uint64_t generation; /* older connections are closed, not kept */
    unsigned failures;   /* in a row */
    unsigned silent;     /* commands without an answer, in a row */
    int64_t next;        /* no new connection before */
    uint64_t random;
    uint64_t turns;
    kf_redis_pool_status counts;
    slot slots[]; /* counts.size of them */
};

static void
init_lock(kf_redis_pool *pool)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->free_slot, &attributes);
    pthread_condattr_destroy(&attributes);
}

kf_redis_pool *
kf_redis_pool_new(const kf_redis_address *address, size_t size,
                  double wait_seconds, const kf_alloc *alloc)
{
    size_t slots, whole;
    kf_redis_pool *pool;
    if (!kf_size_multiply(size, sizeof(slot), &slots) ||
        (whole = sizeof *pool + slots) < slots) {
        return NULL;
    }
    pool = kf_allocate_zero(alloc, 1, whole);
    if (pool != NULL) {
        pool->alloc = alloc;
        pool->address = *address;
        pool->wait_seconds = wait_seconds;
        pool->counts.size = size;
        pool->random = (uint64_t)kf_redis_now() ^ (uint64_t)getpid() << 32;
        init_lock(pool);
    }
    return pool;
}

void
kf_redis_pool_free(kf_redis_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < pool->counts.size; i++) {
        kf_redis_free(pool->slots[i].redis);
    }
    pthread_cond_destroy(&pool->free_slot);
    pthread_mutex_destroy(&pool->lock);
    kf_release(pool->alloc, pool);
}

/* --- the pause after a refusal; under the lock --- */

/* From 0.5 to 1. */
static double
jitter(kf_redis_pool *pool)
{
    pool->random = pool->random * 6364136223846793005u + 1442695040888963407u;
    return 0.5 + (double)(pool->random >> 33) / (double)(1u << 31) * 0.5;
}

static void
note_refusal(kf_redis_pool *pool)
{
    double pause = FIRST_PAUSE;
    for (unsigned i = 0; i < pool->failures && pause < LAST_PAUSE; i++) {
        pause *= 2;
    }
    pause = pause < LAST_PAUSE ? pause : LAST_PAUSE;
    pool->failures++;
    pool->next = kf_redis_now() + (int64_t)(pause * jitter(pool) * 1e9);
}

static double
pause_left(const kf_redis_pool *pool)
{
    int64_t rest = pool->next - kf_redis_now();
    return rest > 0 ? (double)rest / 1e9 : 0;
}

/* --- slots; under the lock --- */

static kf_redis_fault
wait_for_slot(kf_redis_pool *pool, kf_redis_failure *failure)
{
    int64_t end = kf_redis_now() + (int64_t)(pool->wait_seconds * 1e9);
    struct timespec until = {end / 1000000000, end % 1000000000};
    int late = 0;
    while (!pool->closed && pool->counts.busy >= pool->counts.size &&
           late == 0) {
        late = pthread_cond_timedwait(&pool->free_slot, &pool->lock, &until);
    }
    if (pool->closed) {
        return kf_redis_fail(failure, KF_REDIS_LOST, "the client is closed");
    }
    if (pool->counts.busy >= pool->counts.size) {
        pool->counts.exhausted++;
        return kf_redis_fail(failure, KF_REDIS_BUSY,
                             "all %zu connections were busy for %g s",
                             pool->counts.size, pool->wait_seconds);
    }
    return KF_REDIS_GOOD;
}

/* The idle connection that was used last, else an empty slot. */
static slot *
best_slot(kf_redis_pool *pool)
{
    slot *best = NULL;
    for (size_t i = 0; i < pool->counts.size; i++) {
        slot *it = &pool->slots[i];
        if (!it->busy && (best == NULL || it->used > best->used)) {
            best = it;
        }
    }
    return best;
}

static void
empty_slot(kf_redis_pool *pool, slot *it)
{
    if (it->redis != NULL) {
        kf_redis_free(it->redis);
        it->redis = NULL;
        it->used = 0;
        pool->counts.idle--;
    }
}

static slot *
take_slot(kf_redis_pool *pool)
{
    slot *it = best_slot(pool);
    while (it->redis != NULL && !kf_redis_usable(it->redis)) {
        empty_slot(pool, it);
        it = best_slot(pool);
    }
    if (it->redis != NULL) {
        pool->counts.idle--;
    }
    it->busy = true;
    it->generation = pool->generation;
    pool->counts.busy++;
    return it;
}

static void
give_slot(kf_redis_pool *pool, slot *it, bool keep)
{
    keep = keep && it->generation == pool->generation && !pool->closed;
    if (!keep) {
        kf_redis_free(it->redis);
        it->redis = NULL;
    }
    it->used = keep ? ++pool->turns : 0;
    it->busy = false;
    pool->counts.busy--;
    pool->counts.idle += keep;
    pthread_cond_signal(&pool->free_slot);
}

static void
drop_idle(kf_redis_pool *pool)
{
    pool->generation++;
    for (size_t i = 0; i < pool->counts.size; i++) {
        if (!pool->slots[i].busy) {
            empty_slot(pool, &pool->slots[i]);
        }
    }
}

/* --- one exchange --- */

/* A new connection for a slot that is ours, without the lock. */
static kf_redis_fault
connect_slot(kf_redis_pool *pool, slot *it, kf_redis_failure *failure)
{
    kf_redis *redis = NULL;
    kf_redis_fault fault;
    double rest;
    pthread_mutex_lock(&pool->lock);
    rest = pause_left(pool);
    pthread_mutex_unlock(&pool->lock);
    if (rest > 0) {
        return kf_redis_fail(
            failure, KF_REDIS_LOST,
            "the server was not there; it is asked again in %.2f s", rest);
    }
    fault = kf_redis_connect(&pool->address, pool->alloc, &redis, failure);
    pthread_mutex_lock(&pool->lock);
    if (fault == KF_REDIS_GOOD) {
        pool->counts.connects++;
    }
    else if (fault != KF_REDIS_OUT_OF_MEMORY) {
        pool->counts.connect_failures++;
        note_refusal(pool);
    }
    it->redis = redis;
    pthread_mutex_unlock(&pool->lock);
    return fault;
}

/* Under the lock: what a fault says about the server. */
static void
note_fault(kf_redis_pool *pool, kf_redis_fault fault)
{
    if (fault == KF_REDIS_GOOD) {
        pool->failures = pool->silent = 0;
        pool->next = 0;
        return;
    }
    if (fault == KF_REDIS_SILENT) {
        pool->counts.timeouts++;
        pool->silent++;
    }
    else {
        pool->counts.lost++;
        pool->silent = 0;
    }
    if (fault == KF_REDIS_LOST || pool->silent >= TIMEOUTS_IN_A_ROW) {
        drop_idle(pool);
    }
    if (pool->silent >= TIMEOUTS_IN_A_ROW) {
        note_refusal(pool);
    }
}

static kf_redis_fault
use_slot(kf_redis_pool *pool, slot *it, const kf_buffer *request, size_t n,
         double seconds, const kf_redis_signals *signals,
         kf_redis_replies *replies, kf_redis_failure *failure)
{
    kf_redis_fault fault = KF_REDIS_GOOD;
    bool connected = it->redis != NULL;
    if (!connected) {
        fault = connect_slot(pool, it, failure);
        connected = fault == KF_REDIS_GOOD;
    }
    if (connected) {
        fault = kf_redis_exchange(it->redis, request, n, seconds, signals,
                                  replies, failure);
    }
    pthread_mutex_lock(&pool->lock);
    if (connected) {
        note_fault(pool, fault);
        pool->counts.commands += fault == KF_REDIS_GOOD ? n : 0;
    }
    give_slot(pool, it, fault == KF_REDIS_GOOD);
    pthread_mutex_unlock(&pool->lock);
    return fault;
}

kf_redis_fault
kf_redis_pool_exchange(kf_redis_pool *pool, const kf_buffer *request, size_t n,
                       double seconds, const kf_redis_signals *signals,
                       kf_redis_replies *replies, kf_redis_failure *failure)
{
    kf_redis_fault fault;
    slot *it = NULL;
    failure->sent = false;
    pthread_mutex_lock(&pool->lock);
    fault = wait_for_slot(pool, failure);
    if (fault == KF_REDIS_GOOD) {
        it = take_slot(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return it == NULL ? fault
                      : use_slot(pool, it, request, n, seconds, signals,
                                 replies, failure);
}

void
kf_redis_pool_get_status(kf_redis_pool *pool, kf_redis_pool_status *out)
{
    pthread_mutex_lock(&pool->lock);
    *out = pool->counts;
    out->retry_in = pause_left(pool);
    pthread_mutex_unlock(&pool->lock);
}

void
kf_redis_pool_close(kf_redis_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    drop_idle(pool);
    pthread_cond_broadcast(&pool->free_slot);
    pthread_mutex_unlock(&pool->lock);
}

/* A thread of the parent may have been inside of a busy connection: only its
 * socket is closed, its memory is left alone. */
void
kf_redis_pool_forked(kf_redis_pool *pool)
{
    init_lock(pool);
    for (size_t i = 0; i < pool->counts.size; i++) {
        slot *it = &pool->slots[i];
        if (it->redis != NULL && it->busy) {
            close(kf_redis_socket(it->redis));
        }
        else {
            kf_redis_free(it->redis);
        }
        *it = (slot){0};
    }
    pool->counts.busy = pool->counts.idle = 0;
    pool->failures = pool->silent = 0;
    pool->next = 0;
    pool->random ^= (uint64_t)getpid() << 32;
}
