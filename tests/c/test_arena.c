/* Memory of an arena: aligned, apart, in place, and gone at the end. */
#include "check.h"
#include "random.h"

#include "kato_fast/arena.h"

#include <stdint.h>
#include <string.h>

#define PIECES 3000

static void
test_pieces_stay_apart(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    kf_arena arena;
    size_t total = 0;
    kf_arena_init(&arena, &alloc);
    for (size_t i = 0; i < PIECES; i++) {
        sizes[i] = random_below(random, i % 100 == 0 ? 100000 : 200);
        pieces[i] = kf_arena_take(&arena, sizes[i]);
        CHECK(pieces[i] != NULL && (uintptr_t)pieces[i] % 8 == 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
        total += sizes[i];
    }
    for (size_t i = 0; i < PIECES; i++) {
        bool same = true;
        for (size_t b = 0; b < sizes[i]; b++) {
            same = same && pieces[i][b] == i % 251;
        }
        CHECK(same);
    }
    CHECK(arena.memory >= total && arena.memory < 2 * total);
    kf_arena_free(&arena);
    CHECK(arena.memory == 0 && arena.last == NULL);
    CHECK(kf_arena_take(&arena, 8) != NULL); /* usable again */
    kf_arena_free(&arena);
    CHECK(memory.live == 0);
}

static void
test_sizes_that_do_not_fit(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_arena arena;
    kf_arena_init(&arena, &alloc);
    CHECK(kf_arena_take(&arena, SIZE_MAX) == NULL);
    CHECK(kf_arena_take(&arena, SIZE_MAX - 8) == NULL);
    CHECK(memory.calls == 0);
    CHECK(kf_arena_take(&arena, 0) != NULL);
    kf_arena_free(&arena);
    CHECK(memory.live == 0);
}

/* A failed call takes nothing and leaves what is there. */
static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_arena arena;
        char *first;
        kf_arena_init(&arena, &alloc);
        first = kf_arena_take(&arena, 5000);
        done = first != NULL && kf_arena_take(&arena, 100000) != NULL;
        failures += !done;
        CHECK(first != NULL || (arena.last == NULL && arena.memory == 0));
        check_memory_pause(&memory);
        CHECK(kf_arena_take(&arena, 100000) != NULL);
        kf_arena_free(&arena);
    }
    CHECK(failures == 2);
}

int
main(void)
{
    random_source random = random_start();
    test_pieces_stay_apart(&random);
    test_sizes_that_do_not_fit();
    test_no_memory();
    return check_report();
}
