/* One connection to a Redis server over hiredis: requests of any number of
 * commands, written and read together, inside one deadline.
 *
 * Nothing is ever sent twice. After a failed exchange the connection is of no
 * use: a late reply would be taken for another's. hiredis connects and parses;
 * the reading and writing is done here, so that a deadline is one for the
 * whole exchange, however slowly the server drips. One connection belongs to
 * one thread at a time. */
#ifndef KATO_FAST_WIRE_REDIS_H
#define KATO_FAST_WIRE_REDIS_H

#include "wire/redis_replies.h"

#include <stdbool.h>

typedef struct {
    const char *host; /* borrowed, as all of this; NULL where path is */
    int port;
    const char *path; /* of a Unix socket, or NULL */
    int db;
    const char *username; /* or NULL */
    const char *password; /* or NULL */
    double connect_timeout;
    size_t max_reply_bytes; /* of one exchange */
} kf_redis_address;

typedef enum {
    KF_REDIS_GOOD,
    KF_REDIS_LOST,     /* no connection, or it broke */
    KF_REDIS_SILENT,   /* no answer in time */
    KF_REDIS_NONSENSE, /* not the protocol, or over a limit */
    KF_REDIS_BUSY,     /* of a pool: all connections are taken */
    KF_REDIS_STOPPED,  /* the caller's own callback asked to stop */
    KF_REDIS_OUT_OF_MEMORY
} kf_redis_fault;

typedef struct {
    kf_redis_fault fault;
    bool sent; /* the server may have seen the commands */
    char message[256];
} kf_redis_failure;

/* Fill the failure (sent as it is there), return the fault. */
kf_redis_fault kf_redis_fail(kf_redis_failure *failure, kf_redis_fault fault,
                             const char *format, ...) KF_PRINTF(3, 4);

/* Asked when a signal came in; true stops the exchange. */
typedef struct {
    bool (*stop)(void *context); /* or NULL */
    void *context;
} kf_redis_signals;

/* What is to be sent: n commands, each a head and its arguments. */
void kf_redis_command(kf_buffer *request, size_t n_arguments);
void kf_redis_argument(kf_buffer *request, const char *bytes, size_t size);

typedef struct kf_redis kf_redis;

/* Connect, authenticate, choose the database. *out: owned. */
KF_MUST_USE kf_redis_fault kf_redis_connect(const kf_redis_address *address,
                                            const kf_alloc *alloc,
                                            kf_redis **out,
                                            kf_redis_failure *failure);
void kf_redis_free(kf_redis *redis);

/* Idle and still open, as far as can be seen without sending. */
bool kf_redis_usable(const kf_redis *redis);

/* The socket, for who must close it and leave the rest as it is. */
int kf_redis_socket(const kf_redis *redis);

/* Send the request, append n replies. failure: written where it fails. */
KF_MUST_USE kf_redis_fault kf_redis_exchange(kf_redis *redis,
                                             const kf_buffer *request,
                                             size_t n, double seconds,
                                             const kf_redis_signals *signals,
                                             kf_redis_replies *replies,
                                             kf_redis_failure *failure);

/* Nanoseconds of a clock that only goes forward. */
int64_t kf_redis_now(void);

#endif
