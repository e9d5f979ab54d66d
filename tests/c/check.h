/* The few lines that every C test shares: CHECK, and an allocator that
 * counts what is alive and fails where it is told to.
 *
 *     int
 *     main(void)
 *     {
 *         check_memory memory = {0};
 *         kf_alloc alloc = check_alloc(&memory);
 *         memory.fail_at = 3;       third call fails, once
 *         ...
 *         CHECK(memory.live == 0);  no leak
 *         return check_report();
 *     }
 *
 * To walk through every failure of a function:
 *
 *     CHECK_EACH_FAILURE(memory, done) {
 *         done = kf_thing_new(..., &alloc, &thing) == KF_OK;
 *         if (done) { kf_thing_free(thing); }
 *     }
 */
#ifndef KATO_FAST_CHECK_H
#define KATO_FAST_CHECK_H

#include "kato_fast/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_ulong check_count;
static atomic_ulong check_failures;

#define CHECK(condition) \
    check_result((condition), #condition, __FILE__, __LINE__)

static inline bool
check_result(bool good, const char *text, const char *file, int line)
{
    atomic_fetch_add(&check_count, 1);
    if (!good && atomic_fetch_add(&check_failures, 1) < 50) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    }
    return good;
}

/* The exit code of main. No check at all counts as a failure. */
static inline int
check_report(void)
{
    unsigned long count = atomic_load(&check_count);
    unsigned long failures = atomic_load(&check_failures);
    printf("%lu checks, %lu failed\n", count, failures);
    return count == 0 || failures != 0;
}

/* Safe from several threads, fail_at apart. */
typedef struct {
    atomic_size_t live;  /* blocks that are not yet released */
    atomic_size_t calls; /* allocate and resize so far */
    size_t fail_at;      /* the call, from 1, that fails; 0 for none */
    bool fail_on;        /* and all calls behind it fail, too */
} check_memory;

static inline bool
check_memory_fails(check_memory *memory)
{
    size_t call = atomic_fetch_add(&memory->calls, 1) + 1;
    return memory->fail_at != 0 &&
           (call == memory->fail_at ||
            (memory->fail_on && call > memory->fail_at));
}

static inline void *
check_allocate(void *context, size_t size)
{
    check_memory *memory = context;
    void *block = check_memory_fails(memory) ? NULL : malloc(size);
    CHECK(size != 0);
    if (block != NULL) {
        atomic_fetch_add(&memory->live, 1);
    }
    return block;
}

static inline void *
check_resize(void *context, void *block, size_t size)
{
    check_memory *memory = context;
    CHECK(size != 0);
    CHECK(block != NULL);
    return check_memory_fails(memory) ? NULL : realloc(block, size);
}

static inline void
check_release(void *context, void *block)
{
    check_memory *memory = context;
    if (block != NULL) {
        atomic_fetch_sub(&memory->live, 1);
        free(block);
    }
}

/* memory: borrowed, zeroed by the caller, outlives the allocator. */
static inline kf_alloc
check_alloc(check_memory *memory)
{
    kf_alloc alloc = {
        .context = memory,
        .allocate = check_allocate,
        .resize = check_resize,
        .release = check_release,
    };
    return alloc;
}

/* Start counting anew and let call number fail_at fail. */
static inline void
check_memory_arm(check_memory *memory, size_t fail_at)
{
    atomic_store(&memory->calls, 0);
    memory->fail_at = fail_at;
}

/* Let nothing fail for a while, to prepare or to look: gives what to arm
 * again. */
static inline size_t
check_memory_pause(check_memory *memory)
{
    size_t fail_at = memory->fail_at;
    memory->fail_at = 0;
    return fail_at;
}

/* Whether the body ran without meeting the failure; also checks that
 * nothing is left alive, and disarms at the end. */
static inline bool
check_memory_done(check_memory *memory, bool done)
{
    CHECK(atomic_load(&memory->live) == 0);
    CHECK(done || atomic_load(&memory->calls) >= memory->fail_at);
    if (done) {
        memory->fail_at = 0;
    }
    return done;
}

/* Run the body with the 1st, 2nd, ... allocation failing until it sets
 * `done`, which this declares. The body must free what it made; one that
 * succeeds in spite of a failed call would end the walk early, so write it
 * so that any failed call leaves done false. */
#define CHECK_EACH_FAILURE(memory, done)                                  \
    for (size_t check_nth = 1, check_go = 1; check_go != 0; check_go = 0) \
        for (bool done = false;                                           \
             !(done) && (check_memory_arm(&(memory), check_nth++), true); \
             check_memory_done(&(memory), (done)))

#endif
