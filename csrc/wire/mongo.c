#include "mongo_inside.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- errors --- */

kf_mongo_result
kf_mongo_fail(kf_mongo_error *err, kf_mongo_result result, uint32_t code,
              const char *message)
{
    err->result = result;
    err->code = code;
    snprintf(err->message, sizeof err->message, "%s", message);
    return result;
}

static kf_mongo_result
no_memory(kf_mongo_error *err)
{
    return kf_mongo_fail(err, KF_MONGO_NO_MEMORY, 0, "out of memory");
}

/* What the server said is a refusal; everything else left it open whether
 * the command was carried out. */
kf_mongo_result
kf_mongo_fail_with(kf_mongo_error *err, const bson_error_t *error)
{
    bool refused = error->domain == MONGOC_ERROR_SERVER ||
                   error->domain == MONGOC_ERROR_WRITE_CONCERN ||
                   error->domain == MONGOC_ERROR_CLIENT ||
                   error->domain == MONGOC_ERROR_COMMAND;
    return kf_mongo_fail(err,
                         refused ? KF_MONGO_REFUSED : KF_MONGO_UNREACHABLE,
                         error->code, error->message);
}

/* --- the address --- */

static void
bound(mongoc_uri_t *uri, const char *option, int32_t value)
{
    if (!mongoc_uri_has_option(uri, option)) {
        mongoc_uri_set_option_as_int32(uri, option, value);
    }
}

static void
set_bounds(mongoc_uri_t *uri)
{
    bound(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, KF_MONGO_SELECTION_MS);
    bound(uri, MONGOC_URI_CONNECTTIMEOUTMS, KF_MONGO_CONNECT_MS);
    bound(uri, MONGOC_URI_SOCKETTIMEOUTMS, KF_MONGO_SOCKET_MS);
    bound(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, KF_MONGO_WAIT_MS);
    bound(uri, MONGOC_URI_MAXPOOLSIZE, KF_MONGO_POOL_SIZE);
    if (!mongoc_uri_has_option(uri, MONGOC_URI_APPNAME)) {
        mongoc_uri_set_appname(uri, "kato_fast");
    }
}

/* What does not fit is left out: it is for messages only. */
static void
write_hosts(kf_mongo *mongo)
{
    const mongoc_host_list_t *host = mongoc_uri_get_hosts(mongo->uri);
    size_t used = 0;
    for (; host != NULL; host = host->next) {
        int n = snprintf(mongo->hosts + used, sizeof mongo->hosts - used,
                         "%s%s", used > 0 ? "," : "", host->host_and_port);
        if (n < 0 || (size_t)n >= sizeof mongo->hosts - used) {
            return;
        }
        used += (size_t)n;
    }
}

kf_mongo_result
kf_mongo_new(const kf_alloc *alloc, const char *address, kf_mongo **out,
             kf_mongo_error *err)
{
    bson_error_t error; /* not told: it may quote the password */
    mongoc_uri_t *uri = mongoc_uri_new_with_error(address, &error);
    kf_mongo *mongo;
    if (uri == NULL) {
        return kf_mongo_fail(
            err, KF_MONGO_INVALID, 0,
            "the address must be a MongoDB connection string, with "
            "%-encoded user and password");
    }
    mongo = kf_allocate(alloc, 1, sizeof *mongo);
    if (mongo == NULL) {
        mongoc_uri_destroy(uri);
        return no_memory(err);
    }
    memset(mongo, 0, sizeof *mongo);
    mongo->alloc = alloc;
    mongo->uri = uri;
    set_bounds(uri);
    write_hosts(mongo);
    *out = mongo;
    return KF_MONGO_FINE;
}

/* A parent's pool cannot be taken down here: its threads are not here. */
void
kf_mongo_free(kf_mongo *mongo)
{
    if (mongo == NULL) {
        return;
    }
    if (mongo->pool != NULL && mongo->process == getpid()) {
        mongoc_client_pool_destroy(mongo->pool);
    }
    mongoc_uri_destroy(mongo->uri);
    mongo->alloc->release(mongo->alloc->context, mongo);
}

const char *
kf_mongo_database(const kf_mongo *mongo)
{
    return mongoc_uri_get_database(mongo->uri);
}

const char *
kf_mongo_hosts(const kf_mongo *mongo)
{
    return mongo->hosts;
}

kf_mongo_result
kf_mongo_ready(kf_mongo *mongo, kf_mongo_error *err)
{
    if (mongo->pool != NULL && mongo->process == getpid()) {
        return KF_MONGO_FINE;
    }
    mongo->pool = mongoc_client_pool_new(mongo->uri);
    if (mongo->pool == NULL) {
        return kf_mongo_fail(
            err, KF_MONGO_INVALID, 0,
            "the address asks for what this libmongoc cannot do");
    }
    mongo->process = getpid();
    mongoc_client_pool_set_error_api(mongo->pool, MONGOC_ERROR_API_VERSION_2);
    return KF_MONGO_FINE;
}

mongoc_client_t *
kf_mongo_taken(kf_mongo *mongo, kf_mongo_error *err)
{
    mongoc_client_t *client = mongoc_client_pool_pop(mongo->pool);
    if (client == NULL) {
        kf_mongo_fail(err, KF_MONGO_UNREACHABLE, 0,
                      "no connection came free within waitQueueTimeoutMS");
    }
    return client;
}

/* --- commands --- */

static void
send_on(mongoc_client_t *client, const char *database, kf_mongo_call *call)
{
    bson_error_t error;
    bson_t command;
    bson_t reply;
    bool fine;
    if (!bson_init_static(&command, call->command, call->size)) {
        kf_mongo_fail(&call->failed, KF_MONGO_INVALID, 0,
                      "the command is no BSON");
        return;
    }
    if (call->writes) {
        fine = mongoc_client_write_command_with_opts(
            client, database, &command, NULL, &reply, &error);
    }
    else {
        fine = mongoc_client_read_command_with_opts(
            client, database, &command, NULL, NULL, &reply, &error);
    }
    kf_buffer_append(&call->reply, bson_get_data(&reply), reply.len);
    bson_destroy(&reply);
    if (!fine) {
        kf_mongo_fail_with(&call->failed, &error);
    }
    else if (call->reply.failed) {
        no_memory(&call->failed);
    }
}

typedef struct {
    kf_mongo *mongo;
    const char *database;
    kf_mongo_call *call;
    pthread_t thread;
    bool started;
} sending;

static void *
send_one(void *argument)
{
    sending *job = argument;
    mongoc_client_t *client = kf_mongo_taken(job->mongo, &job->call->failed);
    if (client != NULL) {
        send_on(client, job->database, job->call);
        mongoc_client_pool_push(job->mongo->pool, client);
    }
    return NULL;
}

void
kf_mongo_run(kf_mongo *mongo, const char *database, kf_mongo_call *calls,
             size_t count)
{
    sending jobs[KF_MONGO_TOGETHER_MAX];
    for (size_t i = 0; i < count; i++) {
        calls[i].failed.result = KF_MONGO_FINE;
        jobs[i] = (sending){mongo, database, &calls[i], 0, false};
    }
    for (size_t i = 1; i < count; i++) {
        jobs[i].started =
            pthread_create(&jobs[i].thread, NULL, send_one, &jobs[i]) == 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!jobs[i].started) { /* the first, and what no thread was for */
            send_one(&jobs[i]);
        }
    }
    for (size_t i = 1; i < count; i++) {
        if (jobs[i].started) {
            pthread_join(jobs[i].thread, NULL);
        }
    }
}

/* --- the driver --- */

const char *
kf_mongo_driver_version(void)
{
    return mongoc_get_version();
}

void
kf_mongo_start(void)
{
    mongoc_log_set_handler(NULL, NULL); /* its lines may quote the address */
    mongoc_init();
}
