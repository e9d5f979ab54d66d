/* A pool against a server of this process that says what it is told: faults
 * with what they say, limits, and each allocation failing in turn. */
#include "check.h"
#include "wire/redis_pool.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the server: one answer for each piece that comes in --- */

typedef struct {
    int listening;
    int port;
    const char *answer; /* NULL: says nothing */
    bool hang_up;       /* after the answer */
    pthread_t thread;
} server;

static void
converse(const server *self, int connection)
{
    char bytes[4096];
    while (recv(connection, bytes, sizeof bytes, 0) > 0) {
        if (self->answer != NULL) {
            send(connection, self->answer, strlen(self->answer), MSG_NOSIGNAL);
        }
        if (self->hang_up) {
            return;
        }
    }
}

static void *
serve(void *context)
{
    server *self = context;
    int connection;
    while ((connection = accept(self->listening, NULL, NULL)) >= 0) {
        converse(self, connection);
        close(connection);
    }
    return NULL;
}

static void
server_start(server *self)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    self->listening = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(self->listening, (struct sockaddr *)&address, size) == 0);
    CHECK(listen(self->listening, 8) == 0);
    CHECK(getsockname(self->listening, (struct sockaddr *)&address, &size) ==
          0);
    self->port = ntohs(address.sin_port);
    CHECK(pthread_create(&self->thread, NULL, serve, self) == 0);
}

static void
server_stop(server *self)
{
    shutdown(self->listening, SHUT_RDWR);
    pthread_join(self->thread, NULL);
    close(self->listening);
}

/* --- asking --- */

static kf_redis_address
address_of(int port)
{
    return (kf_redis_address){.host = "127.0.0.1",
                              .port = port,
                              .connect_timeout = 10,
                              .max_reply_bytes = 1000};
}

/* n times PING through the pool. */
static kf_redis_fault
ask(kf_redis_pool *pool, size_t n, double seconds, const kf_alloc *alloc,
    kf_redis_failure *failure)
{
    kf_redis_fault fault;
    kf_redis_replies replies;
    kf_buffer request;
    kf_buffer_init(&request, alloc);
    kf_redis_replies_init(&replies, alloc);
    for (size_t i = 0; i < n; i++) {
        kf_redis_command(&request, 1);
        kf_redis_argument(&request, "PING", 4);
    }
    fault = request.failed
                ? kf_redis_fail(failure, KF_REDIS_OUT_OF_MEMORY, "no memory")
                : kf_redis_pool_exchange(pool, &request, n, seconds, NULL,
                                         &replies, failure);
    kf_buffer_free(&request);
    kf_redis_replies_free(&replies);
    return fault;
}

static kf_redis_failure
ask_once(server *it, size_t n, double seconds, const kf_redis_address *change)
{
    kf_redis_failure failure = {KF_REDIS_GOOD, false, ""};
    kf_redis_address address = change != NULL ? *change : address_of(0);
    kf_redis_pool *pool;
    server_start(it);
    address.port = it->port;
    pool = kf_redis_pool_new(&address, 2, 0.1, &kf_alloc_default);
    CHECK(pool != NULL);
    failure.fault = ask(pool, n, seconds, &kf_alloc_default, &failure);
    kf_redis_pool_free(pool);
    server_stop(it);
    return failure;
}

static void
test_good(void)
{
    server it = {.answer = "+PONG\r\n+PONG\r\n"};
    CHECK(ask_once(&it, 2, 10, NULL).fault == KF_REDIS_GOOD);
}

static void
test_faults(void)
{
    server nonsense = {.answer = "?\r\n"};
    server closes = {.answer = "+PO", .hang_up = true};
    server silent = {.answer = NULL};
    server chatty = {.answer = "+PONG\r\n+PONG\r\n"};
    kf_redis_failure found = ask_once(&nonsense, 1, 10, NULL);
    CHECK(found.fault == KF_REDIS_NONSENSE && found.sent);
    found = ask_once(&closes, 1, 10, NULL);
    CHECK(found.fault == KF_REDIS_LOST && found.sent);
    found = ask_once(&silent, 1, 0.2, NULL);
    CHECK(found.fault == KF_REDIS_SILENT && found.sent);
    CHECK(strstr(found.message, "0.2 s") != NULL);
    found = ask_once(&chatty, 1, 10, NULL);
    CHECK(found.fault == KF_REDIS_NONSENSE);
}

static void
test_size_of_a_reply(void)
{
    char answer[1200] = "$1100\r\n";
    server it = {.answer = answer};
    kf_redis_failure found;
    memset(answer + 7, 'x', 1100);
    strcpy(answer + 7 + 1100, "\r\n");
    found = ask_once(&it, 1, 10, NULL);
    CHECK(found.fault == KF_REDIS_NONSENSE);
    CHECK(strstr(found.message, "more than 1000 bytes") != NULL);
}

static void
test_password_is_refused(void)
{
    server it = {.answer = "-WRONGPASS no\r\n"};
    kf_redis_address address = address_of(0);
    kf_redis_failure found;
    address.password = "secret";
    found = ask_once(&it, 1, 10, &address);
    CHECK(found.fault == KF_REDIS_LOST && !found.sent);
    CHECK(strstr(found.message, "WRONGPASS") != NULL);
    CHECK(strstr(found.message, "secret") == NULL);
}

static void
test_nobody_there(void)
{
    server it = {.answer = NULL};
    kf_redis_failure failure;
    kf_redis_address address;
    kf_redis_pool_status status;
    kf_redis_pool *pool;
    server_start(&it);
    server_stop(&it);
    address = address_of(it.port);
    pool = kf_redis_pool_new(&address, 1, 0.1, &kf_alloc_default);
    for (int i = 0; i < 20; i++) {
        CHECK(ask(pool, 1, 0.2, &kf_alloc_default, &failure) == KF_REDIS_LOST);
        CHECK(!failure.sent);
    }
    kf_redis_pool_get_status(pool, &status);
    CHECK(status.connect_failures >= 1 && status.connect_failures < 20);
    CHECK(status.busy == 0 && status.retry_in <= 0.5);
    kf_redis_pool_close(pool);
    CHECK(ask(pool, 1, 0.2, &kf_alloc_default, &failure) == KF_REDIS_LOST);
    CHECK(strstr(failure.message, "closed") != NULL);
    kf_redis_pool_free(pool);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    server it = {.answer = "+PONG\r\n"};
    kf_redis_address address;
    int failures = 0;
    server_start(&it);
    address = address_of(it.port);
    CHECK_EACH_FAILURE (memory, done) {
        kf_redis_failure failure = {KF_REDIS_GOOD, false, ""};
        kf_redis_pool *pool = kf_redis_pool_new(&address, 1, 0.1, &alloc);
        kf_redis_fault fault = pool == NULL
                                   ? KF_REDIS_OUT_OF_MEMORY
                                   : ask(pool, 1, 10, &alloc, &failure);
        CHECK(fault == KF_REDIS_GOOD || fault == KF_REDIS_OUT_OF_MEMORY);
        done = fault == KF_REDIS_GOOD;
        failures += !done;
        kf_redis_pool_free(pool);
    }
    CHECK(failures >= 4);
    server_stop(&it);
}

int
main(void)
{
    test_good();
    test_faults();
    test_size_of_a_reply();
    test_password_is_refused();
    test_nobody_there();
    test_no_memory();
    return check_report();
}
