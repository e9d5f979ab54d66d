/* A MongoDB deployment: its address and a pool of connections.
 *
 * A pool belongs to one process: after a fork the child gets its own, and
 * the parent's is left alone. kf_mongo_ready makes it and must not run in
 * two threads at once; everything else may be called from any thread and
 * waits for the network without any lock of ours. No wait is without bound:
 * what the address does not say is set to the limits below. Documents are
 * bytes of BSON on both sides. Credentials are in no error and no log. */
#ifndef KATO_FAST_WIRE_MONGO_H
#define KATO_FAST_WIRE_MONGO_H

#include "kato_fast/alloc.h"
#include "kato_fast/buffer.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds, and connections; each where the address names none. */
#define KF_MONGO_SELECTION_MS 2000
#define KF_MONGO_CONNECT_MS 2000
#define KF_MONGO_SOCKET_MS 60000
#define KF_MONGO_WAIT_MS 2000
#define KF_MONGO_POOL_SIZE 50

/* Commands that are sent at the same time. */
#define KF_MONGO_TOGETHER_MAX 8u

typedef enum {
    KF_MONGO_FINE = 0,
    KF_MONGO_NO_MEMORY,
    KF_MONGO_INVALID,     /* an address or a document that cannot be right */
    KF_MONGO_UNREACHABLE, /* no server, or no answer: it may have been done */
    KF_MONGO_REFUSED,     /* the server says no; code is its own */
    KF_MONGO_STOPPED      /* the visitor stopped */
} kf_mongo_result;

typedef struct {
    kf_mongo_result result;
    uint32_t code;
    char message[512];
} kf_mongo_error;

typedef struct kf_mongo kf_mongo;

/* address: a connection string, NUL-terminated. Opens no connection. */
KF_MUST_USE kf_mongo_result kf_mongo_new(const kf_alloc *alloc,
                                         const char *address, kf_mongo **out,
                                         kf_mongo_error *err);
void kf_mongo_free(kf_mongo *mongo); /* NULL is allowed */

/* Borrowed: the address's database, NULL where it names none, and its hosts
 * without credentials. */
const char *kf_mongo_database(const kf_mongo *mongo);
const char *kf_mongo_hosts(const kf_mongo *mongo);

/* This process's pool, made if there is none. */
KF_MUST_USE kf_mongo_result kf_mongo_ready(kf_mongo *mongo,
                                           kf_mongo_error *err);

typedef struct {
    const uint8_t *command; /* one BSON document, borrowed */
    size_t size;
    bool writes;           /* the address's write concern goes with it */
    kf_buffer reply;       /* appended to, also where the server refuses */
    kf_mongo_error failed; /* result KF_MONGO_FINE where it went well */
} kf_mongo_call;

/* Run the commands on the database, each on a connection of its own, all
 * at the same time; returns when the last has ended. count: up to
 * KF_MONGO_TOGETHER_MAX. */
void kf_mongo_run(kf_mongo *mongo, const char *database, kf_mongo_call *calls,
                  size_t count);

typedef enum {
    KF_MONGO_COMMITTED = 0,
    KF_MONGO_ABORTED,   /* nothing was done; the same may go well again */
    KF_MONGO_STOOD_OFF, /* nothing was done, and would not be again */
    KF_MONGO_UNKNOWN    /* the commit got no answer in time */
} kf_mongo_end;

/* Run the commands one after the other on one connection, as one
 * transaction, and commit it. The first that fails, or whose reply has errors
 * of single writes (writeErrors, nErrors), ends it, and nothing is done; its
 * calls[].failed says why. A commit without an answer is asked again for
 * commit_ms; what is wrong with it, or with beginning, is in err. *ran: how
 * many commands have a reply. */
KF_MUST_USE kf_mongo_end kf_mongo_transact(kf_mongo *mongo,
                                           const char *database,
                                           kf_mongo_call *calls, size_t count,
                                           int64_t commit_ms, size_t *ran,
                                           kf_mongo_error *err);

/* An array of the server's, BSON that nobody has looked into, borrowed for the
 * call: its elements should be documents. false stops. */
typedef bool (*kf_mongo_visit)(void *context, const uint8_t *array,
                               size_t size);

typedef struct {
    const char *database;
    const char *collection;
    const uint8_t *filter; /* BSON: a filter, or {pipeline: [...]} */
    size_t filter_size;
    const uint8_t *options; /* BSON: fields of find or aggregate */
    size_t options_size;
    bool aggregates;
} kf_mongo_query;

/* Every document of the answer, reply by reply, in the caller's thread;
 * another thread reads the next reply from the network meanwhile. */
KF_MUST_USE kf_mongo_result kf_mongo_each(kf_mongo *mongo,
                                          const kf_mongo_query *query,
                                          kf_mongo_visit visit, void *context,
                                          kf_mongo_error *err);

/* Of the driver that is linked, and once per process before anything. */
const char *kf_mongo_driver_version(void);
void kf_mongo_start(void);

#endif
