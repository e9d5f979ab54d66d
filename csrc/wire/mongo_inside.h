/* What the files over the driver share: the deployment from inside, its
 * connections, and errors. Only csrc/wire/mongo*.c include it. */
#ifndef KATO_FAST_WIRE_MONGO_INSIDE_H
#define KATO_FAST_WIRE_MONGO_INSIDE_H

#include "wire/mongo.h"

#include <bson/bson.h>
#include <mongoc/mongoc.h>

#include <sys/types.h>

struct kf_mongo {
    const kf_alloc *alloc;
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool; /* of process; NULL before kf_mongo_ready */
    pid_t process;
    char hosts[256];
};

/* Fill err; result, or what the driver's error means. */
kf_mongo_result kf_mongo_fail(kf_mongo_error *err, kf_mongo_result result,
                              uint32_t code, const char *message);
kf_mongo_result kf_mongo_fail_with(kf_mongo_error *err,
                                   const bson_error_t *error);

/* A session without causal consistency, to be destroyed before the connection
 * is pushed back; NULL and err where the server has none, or is away. */
mongoc_client_session_t *kf_mongo_session_of(mongoc_client_t *client,
                                             kf_mongo_error *err);

/* A connection, to be pushed back; NULL and err where none comes free. */
mongoc_client_t *kf_mongo_taken(kf_mongo *mongo, kf_mongo_error *err);

#endif
