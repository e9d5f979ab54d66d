#include "wire/redis.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CHUNK 65536

struct kf_redis {
    const kf_alloc *alloc;
    redisContext *context; /* owned: the socket */
    kf_redis_parser *parser;
    size_t max_reply_bytes;
    char chunk[CHUNK];
};

kf_redis_fault
kf_redis_fail(kf_redis_failure *failure, kf_redis_fault fault,
              const char *format, ...)
{
    va_list arguments;
    failure->fault = fault;
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof failure->message, format, arguments);
    va_end(arguments);
    return fault;
}

int64_t
kf_redis_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- requests --- */

/* A mark, a number, and the end of a line. */
static void
put_number(kf_buffer *request, char mark, size_t number)
{
    char line[24];
    size_t i = sizeof line;
    line[--i] = '\n';
    line[--i] = '\r';
    do {
        line[--i] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    line[--i] = mark;
    kf_buffer_append(request, line + i, sizeof line - i);
}

void
kf_redis_command(kf_buffer *request, size_t n_arguments)
{
    put_number(request, '*', n_arguments);
}

void
kf_redis_argument(kf_buffer *request, const char *bytes, size_t size)
{
    put_number(request, '$', size);
    kf_buffer_append(request, bytes, size);
    KF_BUFFER_LITERAL(request, "\r\n");
}

/* --- exchange --- */

typedef struct {
    kf_redis *redis;
    const char *unsent;
    size_t n_unsent;
    size_t n_open; /* replies that are still to come */
    size_t n_read; /* bytes */
    int64_t end;
    double seconds;
    const kf_redis_signals *signals;
    kf_redis_replies *replies;
    kf_redis_failure *failure;
} exchange;

static kf_redis_fault
broken(exchange *self, const char *what)
{
    return kf_redis_fail(self->failure, KF_REDIS_LOST,
                         "the connection was lost: %s", what);
}

/* After a call that a signal, or nothing to do, cut short. */
static kf_redis_fault
after_error(exchange *self)
{
    int error = errno;
    const kf_redis_signals *signals = self->signals;
    if (error == EAGAIN || error == EWOULDBLOCK) {
        return KF_REDIS_GOOD;
    }
    if (error != EINTR) {
        return broken(self, strerror(error));
    }
    if (signals != NULL && signals->stop != NULL &&
        signals->stop(signals->context)) {
        return kf_redis_fail(self->failure, KF_REDIS_STOPPED, "stopped");
    }
    return KF_REDIS_GOOD;
}

static kf_redis_fault
write_some(exchange *self)
{
    ssize_t n = send(self->redis->context->fd, self->unsent, self->n_unsent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        return after_error(self);
    }
    self->failure->sent = true;
    self->unsent += n;
    self->n_unsent -= (size_t)n;
    return KF_REDIS_GOOD;
}

static kf_redis_fault
parse(exchange *self, size_t size)
{
    kf_error err;
    size_t whole = 0;
    kf_status status =
        kf_redis_parse(self->redis->parser, self->replies, self->redis->chunk,
                       size, self->n_open, &whole, &err);
    if (status == KF_NO_MEMORY) {
        return kf_redis_fail(self->failure, KF_REDIS_OUT_OF_MEMORY,
                             "out of memory");
    }
    if (status != KF_OK) {
        return kf_redis_fail(self->failure, KF_REDIS_NONSENSE,
                             "the reply cannot be read: %s", err.message);
    }
    self->n_open -= whole;
    self->n_read += size;
    if (self->n_read > self->redis->max_reply_bytes) {
        return kf_redis_fail(self->failure, KF_REDIS_NONSENSE,
                             "the reply has more than %zu bytes",
                             self->redis->max_reply_bytes);
    }
    return KF_REDIS_GOOD;
}

static kf_redis_fault
read_some(exchange *self)
{
    ssize_t n = recv(self->redis->context->fd, self->redis->chunk, CHUNK,
                     MSG_DONTWAIT);
    if (n < 0) {
        return after_error(self);
    }
    if (n == 0) {
        return broken(self, "the server closed it");
    }
    return parse(self, (size_t)n);
}

/* Milliseconds until the end, rounded up so that the last wait is none. */
static int
left(const exchange *self)
{
    int64_t rest = self->end - kf_redis_now();
    return rest <= 0 ? 0 : (int)((rest + 999999) / 1000000);
}

static kf_redis_fault
wait_and_move(exchange *self)
{
    short reading = POLLIN, writing = self->n_unsent > 0 ? POLLOUT : 0;
    struct pollfd waiting = {self->redis->context->fd, reading | writing, 0};
    kf_redis_fault fault = KF_REDIS_GOOD;
    int milliseconds = left(self);
    int ready = poll(&waiting, 1, milliseconds);
    if (ready < 0) {
        return after_error(self);
    }
    if (ready == 0 && left(self) == 0) {
        return kf_redis_fail(self->failure, KF_REDIS_SILENT,
                             "no answer within %g s", self->seconds);
    }
    if ((waiting.revents & POLLOUT) != 0) {
        fault = write_some(self);
    }
    if (fault == KF_REDIS_GOOD &&
        (waiting.revents & (POLLIN | POLLERR | POLLHUP)) != 0) {
        fault = read_some(self);
    }
    return fault;
}

kf_redis_fault
kf_redis_exchange(kf_redis *redis, const kf_buffer *request, size_t n,
                  double seconds, const kf_redis_signals *signals,
                  kf_redis_replies *replies, kf_redis_failure *failure)
{
    exchange self = {
        .redis = redis,
        .unsent = request->data,
        .n_unsent = request->size,
        .n_open = n,
        .end = kf_redis_now() + (int64_t)(seconds * 1e9),
        .seconds = seconds,
        .signals = signals,
        .replies = replies,
        .failure = failure,
    };
    kf_redis_fault fault = write_some(&self);
    while (fault == KF_REDIS_GOOD && (self.n_open > 0 || self.n_unsent > 0)) {
        fault = wait_and_move(&self);
    }
    return fault;
}

/* --- connecting --- */

static struct timeval
interval(double seconds)
{
    struct timeval time;
    time.tv_sec = (time_t)seconds;
    time.tv_usec = (suseconds_t)((seconds - (double)time.tv_sec) * 1e6);
    return time;
}

/* In all versions a connection that takes too long is an input/output error
 * with ETIMEDOUT, or with the errno of a wait that was cut short. */
static kf_redis_fault
not_connected(const redisContext *context, kf_redis_failure *failure)
{
    bool late =
        context->err == REDIS_ERR_IO &&
        (errno == ETIMEDOUT || errno == EAGAIN || errno == EINPROGRESS);
    return kf_redis_fail(failure, late ? KF_REDIS_SILENT : KF_REDIS_LOST,
                         "no connection: %s", context->errstr);
}

static kf_redis_fault
open_socket(kf_redis *self, const kf_redis_address *address,
            kf_redis_failure *failure)
{
    struct timeval timeout = interval(address->connect_timeout);
    int on = 1;
    self->context =
        address->path != NULL
            ? redisConnectUnixWithTimeout(address->path, timeout)
            : redisConnectWithTimeout(address->host, address->port, timeout);
    self->parser = kf_redis_parser_new();
    if (self->context == NULL || self->parser == NULL) {
        return kf_redis_fail(failure, KF_REDIS_OUT_OF_MEMORY, "out of memory");
    }
    if (self->context->err != 0) {
        return not_connected(self->context, failure);
    }
    setsockopt(self->context->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return KF_REDIS_GOOD;
}

static void
put_text(kf_buffer *request, const char *text)
{
    kf_redis_argument(request, text, strlen(text));
}

/* AUTH and SELECT, where they are needed. Returns their number. */
static size_t
put_greeting(kf_buffer *request, const kf_redis_address *address)
{
    size_t n = 0;
    char db[16];
    if (address->password != NULL) {
        kf_redis_command(request, address->username != NULL ? 3 : 2);
        put_text(request, "AUTH");
        if (address->username != NULL) {
            put_text(request, address->username);
        }
        put_text(request, address->password);
        n++;
    }
    if (address->db != 0) {
        snprintf(db, sizeof db, "%d", address->db);
        kf_redis_command(request, 2);
        put_text(request, "SELECT");
        put_text(request, db);
        n++;
    }
    return n;
}

static kf_redis_fault
check_welcome(const kf_redis_replies *replies, kf_redis_failure *failure)
{
    for (size_t i = 0; i < replies->n_items; i++) {
        const kf_redis_item *item = &replies->items[i];
        if (item->kind == KF_REDIS_ERROR) {
            return kf_redis_fail(failure, KF_REDIS_LOST, "no connection: %.*s",
                                 item->size > 200 ? 200 : (int)item->size,
                                 kf_redis_item_bytes(replies, item));
        }
    }
    return KF_REDIS_GOOD;
}

static kf_redis_fault
greet(kf_redis *self, const kf_redis_address *address,
      kf_redis_failure *failure)
{
    kf_redis_fault fault = KF_REDIS_GOOD;
    kf_redis_replies replies;
    kf_buffer request;
    size_t n;
    kf_redis_replies_init(&replies, self->alloc);
    kf_buffer_init(&request, self->alloc);
    n = put_greeting(&request, address);
    if (request.failed) {
        fault =
            kf_redis_fail(failure, KF_REDIS_OUT_OF_MEMORY, "out of memory");
    }
    else if (n > 0) {
        fault = kf_redis_exchange(self, &request, n, address->connect_timeout,
                                  NULL, &replies, failure);
    }
    if (fault == KF_REDIS_GOOD) {
        fault = check_welcome(&replies, failure);
    }
    failure->sent = false; /* of what the caller wants, nothing was */
    kf_buffer_free(&request);
    kf_redis_replies_free(&replies);
    return fault;
}

kf_redis_fault
kf_redis_connect(const kf_redis_address *address, const kf_alloc *alloc,
                 kf_redis **out, kf_redis_failure *failure)
{
    kf_redis *self = kf_allocate_zero(alloc, 1, sizeof *self);
    kf_redis_fault fault;
    if (self == NULL) {
        return kf_redis_fail(failure, KF_REDIS_OUT_OF_MEMORY, "out of memory");
    }
    self->alloc = alloc;
    self->max_reply_bytes = address->max_reply_bytes;
    fault = open_socket(self, address, failure);
    if (fault == KF_REDIS_GOOD) {
        fault = greet(self, address, failure);
    }
    if (fault != KF_REDIS_GOOD) {
        kf_redis_free(self);
        return fault;
    }
    *out = self;
    return KF_REDIS_GOOD;
}

void
kf_redis_free(kf_redis *redis)
{
    if (redis == NULL) {
        return;
    }
    if (redis->context != NULL) {
        redisFree(redis->context);
    }
    kf_redis_parser_free(redis->parser);
    kf_release(redis->alloc, redis);
}

bool
kf_redis_usable(const kf_redis *redis)
{
    struct pollfd waiting = {redis->context->fd, POLLIN, 0};
    return poll(&waiting, 1, 0) == 0;
}

int
kf_redis_socket(const kf_redis *redis)
{
    return redis->context->fd;
}
