/* The pool: every piece once, whoever does it; nothing waits for a busy pool;
 * a child process has threads of its own. Meant for the thread sanitizer as
 * well. */
#define _GNU_SOURCE

#include "check.h"
#include "sequence.h"

#include "kato_fast/prediction.h"
#include "kato_fast/workers.h"
#include "kato_fast/writer.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static kf_workers *
new_workers(const kf_alloc *alloc, unsigned threads)
{
    kf_workers *workers = NULL;
    CHECK(kf_workers_new(alloc, threads, &workers, NULL) == KF_OK);
    CHECK(kf_workers_count(workers) == threads);
    return workers;
}

/* --- pieces --- */

#define PIECES 500

typedef struct {
    unsigned threads;
    size_t pieces;
    atomic_uint done[PIECES];
    atomic_uint busy[KF_WORKERS_MAX];   /* by worker: calls at this moment */
    size_t last[KF_WORKERS_MAX];        /* the last piece and one, by worker */
    unsigned long sums[KF_WORKERS_MAX]; /* written without any lock */
    atomic_uint workers;                /* bit per worker that did something */
    long pause;                         /* nanoseconds */
} job;

static void
do_piece(void *context, size_t piece, unsigned worker)
{
    job *all = context;
    if (!CHECK(worker < all->threads && piece < all->pieces)) {
        return;
    }
    CHECK(atomic_fetch_add(&all->busy[worker], 1) == 0);
    CHECK(piece >= all->last[worker]); /* ascending */
    all->last[worker] = piece + 1;
    all->sums[worker] += piece;
    atomic_fetch_add(&all->done[piece], 1);
    if (worker < 32) {
        atomic_fetch_or(&all->workers, 1u << worker);
    }
    if (all->pause > 0) {
        struct timespec pause = {0, all->pause};
        nanosleep(&pause, NULL);
    }
    atomic_fetch_sub(&all->busy[worker], 1);
}

/* Runs the job and checks that it was done, all of it. Gives the workers that
 * took part, a bit each. */
static unsigned
run(kf_workers *workers, size_t pieces, long pause)
{
    static _Thread_local job all;
    unsigned long sum = 0;
    memset(&all, 0, sizeof all);
    all.threads = kf_workers_count(workers);
    all.pieces = pieces;
    all.pause = pause;
    kf_workers_run(workers, pieces, do_piece, &all);
    for (size_t piece = 0; piece < PIECES; piece++) {
        CHECK(atomic_load(&all.done[piece]) == (piece < pieces));
    }
    for (unsigned worker = 0; worker < KF_WORKERS_MAX; worker++) {
        sum += all.sums[worker];
    }
    CHECK(pieces == 0 || sum == pieces * (pieces - 1) / 2);
    return atomic_load(&all.workers);
}

static void
pause_shortly(void)
{
    struct timespec pause = {0, 100000};
    nanosleep(&pause, NULL);
}

typedef struct {
    unsigned threads;
    atomic_uint inside;
} meeting;

static void
wait_for_all(void *context, size_t piece, unsigned worker)
{
    meeting *all = context;
    (void)piece;
    (void)worker;
    atomic_fetch_add(&all->inside, 1);
    for (int i = 0; i < 200000; i++) { /* at least 20 s */
        if (atomic_load(&all->inside) == all->threads) {
            return;
        }
        pause_shortly();
    }
    CHECK(false);
}

/* Every thread gets a piece: none ends before all have begun. */
static void
check_all_take_part(kf_workers *workers)
{
    meeting all = {.threads = kf_workers_count(workers)};
    kf_workers_run(workers, all.threads, wait_for_all, &all);
    CHECK(atomic_load(&all.inside) == all.threads);
}

static void
test_every_piece_once(void)
{
    for (unsigned threads = 1; threads <= 6; threads++) {
        check_memory memory = {0};
        kf_alloc alloc = check_alloc(&memory);
        kf_workers *workers = new_workers(&alloc, threads);
        for (int round = 0; round < 200; round++) {
            run(workers, (size_t)round % 40, 0);
        }
        run(workers, PIECES, 0);
        check_all_take_part(workers);
        kf_workers_free(workers);
        CHECK(memory.live == 0);
    }
    kf_workers_free(NULL);
}

static void
test_most_threads(void)
{
    kf_workers *workers = new_workers(&kf_alloc_default, KF_WORKERS_MAX);
    run(workers, PIECES, 0);
    kf_workers_free(workers);
}

static void
test_limits(void)
{
    static const unsigned wrong[] = {0, KF_WORKERS_MAX + 1, 1u << 31};
    for (int i = 0; i < 3; i++) {
        kf_workers *workers = NULL;
        kf_error err = {.code = KF_OK};
        CHECK(kf_workers_new(&kf_alloc_default, wrong[i], &workers, &err) ==
              KF_INVALID);
        CHECK(workers == NULL && err.code == KF_INVALID);
        CHECK(strstr(err.message, "threads") != NULL);
    }
}

/* Threads are made by the first job that wants them, and never again. */
static void
test_threads_are_made_when_wanted(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_workers *workers = new_workers(&alloc, 3);
    size_t before = atomic_load(&memory.calls);
    CHECK(run(workers, 0, 0) == 0 && run(workers, 1, 0) == 1);
    CHECK(atomic_load(&memory.calls) == before);
    run(workers, 2, 0);
    before = atomic_load(&memory.calls);
    run(workers, 20, 0);
    CHECK(atomic_load(&memory.calls) == before);
    kf_workers_free(workers);
    CHECK(memory.live == 0);
}

/* Without memory there are fewer threads, the work is the same. */
static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_workers *workers = NULL;
        done = kf_workers_new(&alloc, 3, &workers, NULL) == KF_OK;
        CHECK(done == (workers != NULL));
        failures += !done;
        kf_workers_free(workers);
    }
    CHECK(failures == 1);
    for (size_t nth = 2; nth <= 4; nth++) {
        kf_workers *workers;
        check_memory_arm(&memory, nth);
        memory.fail_on = true;
        workers = new_workers(&alloc, 4);
        CHECK(run(workers, 40, 100000) < 1u << (nth - 1));
        memory.fail_on = false;
        kf_workers_free(workers);
        CHECK(memory.live == 0);
    }
}

/* --- several callers --- */

typedef struct {
    kf_workers *workers;
    atomic_uint inside;
    atomic_bool go_on;
} occupied;

static void
wait_inside(void *context, size_t piece, unsigned worker)
{
    occupied *all = context;
    (void)piece;
    (void)worker;
    atomic_fetch_add(&all->inside, 1);
    while (!atomic_load(&all->go_on)) {
        pause_shortly();
    }
}

static void *
occupy(void *argument)
{
    occupied *all = argument;
    kf_workers_run(all->workers, 2, wait_inside, all);
    return NULL;
}

static void
run_inside(void *context, size_t piece, unsigned worker)
{
    (void)worker;
    CHECK(run(context, 20 + piece, 0) == 1); /* alone, as worker 0 */
}

/* While the pool is busy a job is done by its caller alone, also one that
 * comes out of the job itself. */
static void
test_busy_pool_runs_alone(void)
{
    occupied all = {.workers = new_workers(&kf_alloc_default, 2)};
    pthread_t other;
    CHECK(pthread_create(&other, NULL, occupy, &all) == 0);
    while (atomic_load(&all.inside) < 2) {
        pause_shortly();
    }
    for (int round = 0; round < 20; round++) {
        CHECK(run(all.workers, 30, 0) == 1);
    }
    atomic_store(&all.go_on, true);
    CHECK(pthread_join(other, NULL) == 0);
    check_all_take_part(all.workers); /* both again */
    kf_workers_run(all.workers, 5, run_inside, all.workers);
    kf_workers_free(all.workers);
}

static void *
run_many(void *argument)
{
    for (int round = 0; round < 300; round++) {
        run(argument, (size_t)round % 50, 0);
    }
    return NULL;
}

static void
test_many_callers(void)
{
    kf_workers *workers = new_workers(&kf_alloc_default, 3);
    pthread_t callers[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&callers[i], NULL, run_many, workers) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(callers[i], NULL) == 0);
    }
    kf_workers_free(workers);
}

/* --- signals --- */

static _Thread_local bool is_main;
static atomic_uint caught_by_others;
static atomic_uint caught;

static void
catch_signal(int number)
{
    (void)number;
    atomic_fetch_add(&caught, 1);
    if (!is_main) {
        atomic_fetch_add(&caught_by_others, 1);
    }
}

static void
send_signal(void *context, size_t piece, unsigned worker)
{
    (void)context;
    (void)piece;
    (void)worker;
    kill(getpid(), SIGUSR1);
}

/* Signals belong to the program's own threads. */
static void
test_signals(void)
{
    kf_workers *workers = new_workers(&kf_alloc_default, 4);
    struct sigaction action = {.sa_handler = catch_signal};
    struct sigaction before;
    is_main = true;
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    kf_workers_run(workers, 200, send_signal, NULL);
    CHECK(atomic_load(&caught) > 0 && atomic_load(&caught_by_others) == 0);
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
    kf_workers_free(workers);
}

/* --- fork --- */

static void
check_child(pid_t child)
{
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What a child has to say: its exit code. */
static int
report(void)
{
    return atomic_load(&check_failures) != 0;
}

/* A child starts threads of its own, frees the pool, and so does its own
 * child; the parent's threads are still there. */
static void
test_fork(bool used_before)
{
    kf_workers *workers = new_workers(&kf_alloc_default, 3);
    pid_t child;
    if (used_before) {
        run(workers, 20, 0);
    }
    child = fork();
    if (child == 0) {
        pid_t grandchild;
        for (int round = 0; round < 50; round++) {
            run(workers, 30, 0);
        }
        check_all_take_part(workers);
        grandchild = fork();
        if (grandchild == 0) {
            check_all_take_part(workers);
            kf_workers_free(workers);
            _exit(report());
        }
        check_child(grandchild);
        check_all_take_part(workers);
        kf_workers_free(workers);
        _exit(report());
    }
    run(workers, 30, 0);
    check_child(child);
    check_all_take_part(workers);
    kf_workers_free(workers);
}

/* A child that never uses the pool may free it. */
static void
test_fork_and_free(void)
{
    kf_workers *workers = new_workers(&kf_alloc_default, 3);
    pid_t child;
    run(workers, 20, 0);
    child = fork();
    if (child == 0) {
        kf_workers_free(workers);
        _exit(report());
    }
    check_child(child);
    kf_workers_free(workers);
}

/* The fork comes while another thread's job runs: what that thread holds is
 * held for ever in the child, which works all the same. */
static void
test_fork_in_the_middle(void)
{
    occupied all = {.workers = new_workers(&kf_alloc_default, 3)};
    pthread_t other;
    pid_t child;
    CHECK(pthread_create(&other, NULL, occupy, &all) == 0);
    while (atomic_load(&all.inside) < 2) {
        pause_shortly();
    }
    child = fork();
    if (child == 0) {
        for (int round = 0; round < 20; round++) {
            run(all.workers, 30, 0);
        }
        kf_workers_free(all.workers);
        _exit(report());
    }
    atomic_store(&all.go_on, true);
    check_child(child);
    CHECK(pthread_join(other, NULL) == 0);
    check_all_take_part(all.workers);
    kf_workers_free(all.workers);
}

/* --- searches --- */

#define ROWS 70000u

static kf_buffer
written(kf_knowledge *knowledge, const sequence *state, double threshold)
{
    kf_predictions *all;
    kf_match_list list;
    kf_buffer out;
    kf_buffer_init(&out, &kf_alloc_default);
    CHECK(kf_predict(knowledge,
                     &(kf_asked){.texts = state->symbols, .m = state->n},
                     threshold, 40, &all, NULL) == KF_OK);
    kf_write_predictions_json(&out, all, true);
    kf_write_futures_json(&out, all);
    kf_predictions_free(all);
    CHECK(kf_match_all(knowledge, state->symbols, state->n, threshold, &list,
                       NULL) == KF_OK);
    kf_buffer_append(&out, list.rows, list.count * sizeof *list.rows);
    kf_buffer_append(&out, list.ratios, list.count * sizeof *list.ratios);
    kf_match_list_free(&list);
    CHECK(!out.failed);
    return out;
}

/* Text and number of a symbol that a pattern has, or none. */
static void
random_state(random_source *random, sequence *out)
{
    uint32_t m = 2 + random_below(random, 10);
    out->n = 0;
    for (uint32_t j = 0; j < m; j++) {
        static const char *const formats[] = {"x%u", "y%u", "z%u", "w%u",
                                              "unknown %u"};
        sequence_add(out, formats[random_below(random, 5)],
                     random_below(random, 8));
    }
}

/* Sealed blocks, pieces of the open one and its last rows. */
static kf_knowledge *
large_knowledge(unsigned threads)
{
    kf_knowledge *knowledge =
        sequence_knowledge(&kf_alloc_default, false, threads);
    CHECK(sequence_learn_numbered(knowledge, 0, ROWS) == KF_OK);
    for (uint32_t number = 0; number < ROWS; number += 321) {
        CHECK(sequence_forget_numbered(knowledge, number));
    }
    return knowledge;
}

static void
test_answers_are_equal(random_source *random)
{
    static const double thresholds[] = {0.0, 0.1, 0.4, 0.5};
    kf_knowledge *all[4];
    for (unsigned i = 0; i < 4; i++) {
        all[i] = large_knowledge(i + 1);
    }
    for (int round = 0; round < 20; round++) {
        sequence state;
        double threshold = thresholds[random_below(random, 4)];
        kf_buffer first;
        random_state(random, &state);
        first = written(all[0], &state, threshold);
        for (unsigned i = 1; i < 4; i++) {
            kf_buffer other = written(all[i], &state, threshold);
            CHECK(other.size == first.size &&
                  memcmp(other.data, first.data, first.size) == 0);
            kf_buffer_free(&other);
        }
        kf_buffer_free(&first);
    }
    for (unsigned i = 0; i < 4; i++) {
        kf_knowledge_free(all[i]);
    }
}

/* --- all --- */

#ifdef __SANITIZE_THREAD__
#define FORKS                                                      \
    false /* it knows no threads in the child of a process of many \
           */
#else
#define FORKS true
#endif

static void
test_forks(void)
{
    if (!FORKS) {
        puts("forks are not tested under the thread sanitizer");
        return;
    }
    test_fork(true);
    test_fork(false);
    test_fork_and_free();
    test_fork_in_the_middle();
}

int
main(void)
{
    random_source random = random_start();
    test_every_piece_once();
    test_most_threads();
    test_limits();
    test_threads_are_made_when_wanted();
    test_no_memory();
    test_busy_pool_runs_alone();
    test_many_callers();
    test_signals();
    test_forks();
    test_answers_are_equal(&random);
    return check_report();
}
