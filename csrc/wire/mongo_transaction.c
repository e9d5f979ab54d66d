/* Commands as one transaction, by the driver's session. */
#include "mongo_inside.h"

#define AGAIN "TransientTransactionError"
#define OPEN "UnknownTransactionCommitResult"

/* Whether some write of the command was refused: an update tells of it in a
 * reply that is fine otherwise. */
static bool
has_write_errors(const bson_t *reply)
{
    bson_iter_t at;
    if (bson_iter_init_find(&at, reply, "writeErrors")) {
        return true;
    }
    return bson_iter_init_find(&at, reply, "nErrors") &&
           bson_iter_as_int64(&at) > 0;
}

static kf_mongo_end
send_in(mongoc_client_t *client, mongoc_client_session_t *session,
        const char *database, kf_mongo_call *call)
{
    bson_t options = BSON_INITIALIZER;
    kf_mongo_end end = KF_MONGO_COMMITTED;
    bson_error_t error;
    bson_t command;
    bson_t reply;
    if (!bson_init_static(&command, call->command, call->size) ||
        !mongoc_client_session_append(session, &options, &error)) {
        kf_mongo_fail(&call->failed, KF_MONGO_INVALID, 0,
                      "the command is no BSON");
        bson_destroy(&options);
        return KF_MONGO_STOOD_OFF;
    }
    if (!mongoc_client_write_command_with_opts(client, database, &command,
                                               &options, &reply, &error)) {
        kf_mongo_fail_with(&call->failed, &error);
        end = mongoc_error_has_label(&reply, AGAIN) ? KF_MONGO_ABORTED
                                                    : KF_MONGO_STOOD_OFF;
    }
    else if (has_write_errors(&reply)) {
        end = KF_MONGO_STOOD_OFF;
    }
    kf_buffer_append(&call->reply, bson_get_data(&reply), reply.len);
    if (call->reply.failed) {
        kf_mongo_fail(&call->failed, KF_MONGO_NO_MEMORY, 0, "out of memory");
        end = KF_MONGO_STOOD_OFF;
    }
    bson_destroy(&reply);
    bson_destroy(&options);
    return end;
}

/* The driver itself asks twice each time. */
static kf_mongo_end
commit(mongoc_client_session_t *session, int64_t commit_ms,
       kf_mongo_error *err)
{
    int64_t until = bson_get_monotonic_time() + commit_ms * 1000;
    kf_mongo_end end;
    do {
        bson_error_t error;
        bson_t reply;
        if (mongoc_client_session_commit_transaction(session, &reply,
                                                     &error)) {
            end = KF_MONGO_COMMITTED;
        }
        else {
            kf_mongo_fail_with(err, &error);
            end = mongoc_error_has_label(&reply, AGAIN)  ? KF_MONGO_ABORTED
                  : mongoc_error_has_label(&reply, OPEN) ? KF_MONGO_UNKNOWN
                                                         : KF_MONGO_STOOD_OFF;
        }
        bson_destroy(&reply);
    } while (end == KF_MONGO_UNKNOWN && bson_get_monotonic_time() < until);
    return end;
}

static kf_mongo_end
run_in(mongoc_client_t *client, mongoc_client_session_t *session,
       const char *database, kf_mongo_call *calls, size_t count,
       int64_t commit_ms, size_t *ran, kf_mongo_error *err)
{
    bson_error_t error;
    if (!mongoc_client_session_start_transaction(session, NULL, &error)) {
        kf_mongo_fail_with(err, &error);
        return KF_MONGO_STOOD_OFF;
    }
    for (size_t i = 0; i < count; i++) {
        kf_mongo_end end = send_in(client, session, database, &calls[i]);
        *ran = i + 1;
        if (end != KF_MONGO_COMMITTED) {
            *err = calls[i].failed;
            (void)mongoc_client_session_abort_transaction(session, &error);
            return end;
        }
    }
    return commit(session, commit_ms, err);
}

mongoc_client_session_t *
kf_mongo_session_of(mongoc_client_t *client, kf_mongo_error *err)
{
    mongoc_session_opt_t *options = mongoc_session_opts_new();
    mongoc_client_session_t *session;
    bson_error_t error;
    mongoc_session_opts_set_causal_consistency(options, false);
    session = mongoc_client_start_session(client, options, &error);
    mongoc_session_opts_destroy(options);
    if (session == NULL) {
        kf_mongo_fail_with(err, &error);
    }
    return session;
}

kf_mongo_end
kf_mongo_transact(kf_mongo *mongo, const char *database, kf_mongo_call *calls,
                  size_t count, int64_t commit_ms, size_t *ran,
                  kf_mongo_error *err)
{
    mongoc_client_t *client = kf_mongo_taken(mongo, err);
    kf_mongo_end end;
    mongoc_client_session_t *session;
    *ran = 0;
    if (client == NULL) {
        return KF_MONGO_ABORTED;
    }
    for (size_t i = 0; i < count; i++) {
        calls[i].failed.result = KF_MONGO_FINE;
    }
    session = kf_mongo_session_of(client, err);
    if (session == NULL) {
        end = err->result == KF_MONGO_UNREACHABLE ? KF_MONGO_ABORTED
                                                  : KF_MONGO_STOOD_OFF;
    }
    else {
        end = run_in(client, session, database, calls, count, commit_ms, ran,
                     err);
        mongoc_client_session_destroy(session);
    }
    mongoc_client_pool_push(mongo->pool, client);
    return end;
}
