/* Cursors read reply by reply, without an object of the driver for each
 * document: find or aggregate, then getMore on the same server and in the
 * same session. */
#include "mongo_inside.h"

#include <pthread.h>
#include <string.h>

/* The documents of one reply. Filled by the reader, emptied by the caller,
 * one at a time each. */
typedef struct {
    bson_t reply; /* owned where full */
    const uint8_t *documents;
    uint32_t size;
    bool full;
} batch;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    batch batches[2];
    bool ended;   /* by the reader, after its last batch */
    bool stopped; /* by the caller */
    mongoc_client_t *client;
    const kf_mongo_query *query;
    bson_t options; /* of each command: the server and the session */
    bson_t choices; /* of the query */
    int64_t cursor; /* of the server; 0: it has no more */
    kf_mongo_error err;
} stream;

/* --- commands --- */

/* Of a find: the options are fields of the command. Of an aggregation
 * batchSize stands apart, and the pipeline is in the filter. */
static void
write_query(const stream *stream, const bson_t *filter, bson_t *command)
{
    const kf_mongo_query *query = stream->query;
    bson_t cursor = BSON_INITIALIZER;
    bson_iter_t at;
    BSON_APPEND_UTF8(command, query->aggregates ? "aggregate" : "find",
                     query->collection);
    if (query->aggregates) {
        bson_concat(command, filter);
    }
    else {
        BSON_APPEND_DOCUMENT(command, "filter", filter);
    }
    bson_iter_init(&at, &stream->choices);
    while (bson_iter_next(&at)) {
        bool apart =
            query->aggregates && strcmp(bson_iter_key(&at), "batchSize") == 0;
        bson_append_iter(apart ? &cursor : command, NULL, 0, &at);
    }
    if (query->aggregates) {
        BSON_APPEND_DOCUMENT(command, "cursor", &cursor);
    }
    bson_destroy(&cursor);
}

static void
write_more(const stream *stream, bson_t *command)
{
    bson_iter_t at;
    BSON_APPEND_INT64(command, "getMore", stream->cursor);
    BSON_APPEND_UTF8(command, "collection", stream->query->collection);
    if (bson_iter_init_find(&at, &stream->choices, "batchSize")) {
        bson_append_iter(command, NULL, 0, &at);
    }
}

/* Where the documents are; false where they are not. */
static bool
find_documents(stream *stream, batch *next)
{
    bson_iter_t at;
    bson_iter_t inside;
    next->documents = NULL;
    stream->cursor = 0;
    if (!bson_iter_init_find(&at, &next->reply, "cursor") ||
        !BSON_ITER_HOLDS_DOCUMENT(&at) || !bson_iter_recurse(&at, &inside)) {
        return false;
    }
    while (bson_iter_next(&inside)) {
        const char *key = bson_iter_key(&inside);
        if (strcmp(key, "id") == 0) {
            stream->cursor = bson_iter_as_int64(&inside);
        }
        else if (BSON_ITER_HOLDS_ARRAY(&inside) &&
                 (strcmp(key, "firstBatch") == 0 ||
                  strcmp(key, "nextBatch") == 0)) {
            bson_iter_array(&inside, &next->size, &next->documents);
        }
    }
    return next->documents != NULL;
}

/* The reply is owned also where it is an error. */
static bool
ask(stream *stream, const bson_t *filter, batch *next)
{
    const char *database = stream->query->database;
    bson_t command = BSON_INITIALIZER;
    bson_error_t error;
    bool fine;
    if (filter != NULL) {
        write_query(stream, filter, &command);
        fine = mongoc_client_read_command_with_opts(
            stream->client, database, &command, NULL, &stream->options,
            &next->reply, &error);
    }
    else {
        write_more(stream, &command);
        fine = mongoc_client_command_with_opts(
            stream->client, database, &command, NULL, &stream->options,
            &next->reply, &error);
    }
    bson_destroy(&command);
    if (!fine) {
        kf_mongo_fail_with(&stream->err, &error);
    }
    else if (!find_documents(stream, next)) {
        fine = false;
        kf_mongo_fail(&stream->err, KF_MONGO_UNREACHABLE, 0,
                      "the reply has no documents");
    }
    if (!fine) {
        bson_destroy(&next->reply);
    }
    return fine;
}

/* The server forgets what nobody reads to its end; it may refuse, or be
 * away. */
static void
kill_cursor(stream *stream)
{
    bson_t command = BSON_INITIALIZER;
    bson_t cursors;
    BSON_APPEND_UTF8(&command, "killCursors", stream->query->collection);
    BSON_APPEND_ARRAY_BEGIN(&command, "cursors", &cursors);
    BSON_APPEND_INT64(&cursors, "0", stream->cursor);
    bson_append_array_end(&command, &cursors);
    (void)mongoc_client_command_with_opts(stream->client,
                                          stream->query->database, &command,
                                          NULL, &stream->options, NULL, NULL);
    bson_destroy(&command);
}

/* --- two threads --- */

/* The batch when it is empty (or, for the caller, full); NULL where none
 * comes any more. */
static batch *
wait_for(stream *stream, size_t index, bool full)
{
    batch *next = &stream->batches[index % 2];
    pthread_mutex_lock(&stream->lock);
    while (next->full != full && !stream->stopped && !stream->ended) {
        pthread_cond_wait(&stream->changed, &stream->lock);
    }
    if (stream->stopped || next->full != full) {
        next = NULL;
    }
    pthread_mutex_unlock(&stream->lock);
    return next;
}

static void
hand_over(stream *stream, batch *batch, bool full)
{
    pthread_mutex_lock(&stream->lock);
    batch->full = full;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

/* The first reply is there. */
static void *
read_ahead(void *argument)
{
    stream *stream = argument;
    for (size_t i = 1; stream->cursor != 0; i++) {
        batch *next = wait_for(stream, i, false);
        if (next == NULL || !ask(stream, NULL, next)) {
            break;
        }
        hand_over(stream, next, true);
    }
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

static void
stop(stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->stopped = true;
    pthread_cond_signal(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

/* Batches until the visitor stops, or none comes. */
static bool
visit_each(stream *stream, kf_mongo_visit visit, void *context)
{
    bool going = true;
    for (size_t i = 0; going; i++) {
        batch *next = wait_for(stream, i, true);
        if (next == NULL) {
            break;
        }
        going = visit(context, next->documents, next->size);
        bson_destroy(&next->reply);
        hand_over(stream, next, false);
    }
    return going;
}

static void
drop_batches(stream *stream)
{
    for (size_t i = 0; i < 2; i++) {
        if (stream->batches[i].full) {
            bson_destroy(&stream->batches[i].reply);
        }
    }
}

/* The first batch is full; the reader has ended when it returns. */
static kf_mongo_result
visit_all(stream *stream, kf_mongo_visit visit, void *context)
{
    pthread_t reader;
    bool going;
    if (pthread_create(&reader, NULL, read_ahead, stream) != 0) {
        drop_batches(stream);
        return kf_mongo_fail(&stream->err, KF_MONGO_NO_MEMORY, 0,
                             "no thread for the cursor");
    }
    going = visit_each(stream, visit, context);
    if (!going) {
        stop(stream);
    }
    pthread_join(reader, NULL);
    drop_batches(stream);
    if (!going && stream->cursor != 0 && stream->err.result == KF_MONGO_FINE) {
        kill_cursor(stream);
    }
    return going ? stream->err.result
                 : kf_mongo_fail(&stream->err, KF_MONGO_STOPPED, 0, "stopped");
}

/* --- server and session --- */

static bool
choose_server(stream *stream)
{
    bson_error_t error;
    mongoc_server_description_t *server = mongoc_client_select_server(
        stream->client, false, mongoc_client_get_read_prefs(stream->client),
        &error);
    if (server == NULL) {
        kf_mongo_fail_with(&stream->err, &error);
        return false;
    }
    BSON_APPEND_INT32(&stream->options, "serverId",
                      (int32_t)mongoc_server_description_id(server));
    mongoc_server_description_destroy(server);
    return true;
}

/* A cursor belongs to the session that it was made in. Older servers have
 * none. */
static bool
open_session(stream *stream, mongoc_client_session_t **session)
{
    bson_error_t error;
    kf_mongo_error none;
    *session = kf_mongo_session_of(stream->client, &none);
    if (*session == NULL && none.result == KF_MONGO_UNREACHABLE) {
        stream->err = none;
        return false;
    }
    if (*session == NULL) {
        return true;
    }
    if (!mongoc_client_session_append(*session, &stream->options, &error)) {
        kf_mongo_fail_with(&stream->err, &error);
        return false;
    }
    return true;
}

static kf_mongo_result
read_in(stream *stream, const bson_t *filter, kf_mongo_visit visit,
        void *context)
{
    mongoc_client_session_t *session = NULL;
    kf_mongo_result result;
    if (choose_server(stream) && open_session(stream, &session) &&
        ask(stream, filter, &stream->batches[0])) {
        stream->batches[0].full = true;
        result = visit_all(stream, visit, context);
    }
    else {
        result = stream->err.result;
    }
    if (session != NULL) {
        mongoc_client_session_destroy(session);
    }
    return result;
}

static kf_mongo_result
read_through(stream *stream, const bson_t *filter, kf_mongo_visit visit,
             void *context)
{
    kf_mongo_result result;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->changed, NULL);
    bson_init(&stream->options);
    result = read_in(stream, filter, visit, context);
    bson_destroy(&stream->options);
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
    return result;
}

kf_mongo_result
kf_mongo_each(kf_mongo *mongo, const kf_mongo_query *query,
              kf_mongo_visit visit, void *context, kf_mongo_error *err)
{
    stream stream = {.query = query};
    kf_mongo_result result;
    bson_t filter;
    if (!bson_init_static(&filter, query->filter, query->filter_size) ||
        !bson_init_static(&stream.choices, query->options,
                          query->options_size)) {
        return kf_mongo_fail(err, KF_MONGO_INVALID, 0, "the query is no BSON");
    }
    stream.client = kf_mongo_taken(mongo, err);
    if (stream.client == NULL) {
        return err->result;
    }
    result = read_through(&stream, &filter, visit, context);
    mongoc_client_pool_push(mongo->pool, stream.client);
    *err = stream.err;
    return result;
}
