/* A bounded pool of connections to one Redis server.
 *
 * A connection is made when it is needed and kept; the one used last is used
 * next. A server that refuses is asked again after a pause, which doubles up
 * to half a second, with jitter; until then every call fails at once. Three
 * commands in a row without an answer count as a refusal. One broken
 * connection takes the idle ones with it.
 *
 * Safe from many threads. After a fork the child must call
 * kf_redis_pool_forked() before anything else, from one thread. */
#ifndef KATO_FAST_WIRE_REDIS_POOL_H
#define KATO_FAST_WIRE_REDIS_POOL_H

#include "wire/redis.h"

typedef struct {
    size_t size;
    size_t busy;
    size_t idle;
    double retry_in; /* seconds; 0 where a connection may be tried */
    uint64_t connects;
    uint64_t connect_failures;
    uint64_t lost;
    uint64_t timeouts;
    uint64_t exhausted;
    uint64_t commands;
} kf_redis_pool_status;

typedef struct kf_redis_pool kf_redis_pool;

/* address: its strings are borrowed and outlive the pool. NULL where there is
 * no memory. */
kf_redis_pool *kf_redis_pool_new(const kf_redis_address *address, size_t size,
                                 double wait_seconds, const kf_alloc *alloc);
void kf_redis_pool_free(kf_redis_pool *pool);

/* Take a connection, exchange, bring it back. As kf_redis_exchange(). */
KF_MUST_USE kf_redis_fault
kf_redis_pool_exchange(kf_redis_pool *pool, const kf_buffer *request, size_t n,
                       double seconds, const kf_redis_signals *signals,
                       kf_redis_replies *replies, kf_redis_failure *failure);

void kf_redis_pool_get_status(kf_redis_pool *pool, kf_redis_pool_status *out);

/* Close what is idle, refuse what comes, close the rest when it comes back. */
void kf_redis_pool_close(kf_redis_pool *pool);

/* In the child: forget the parent's connections, begin anew. */
void kf_redis_pool_forked(kf_redis_pool *pool);

#endif
