/* Patterns: where events begin, when futures are equal, and how long a
 * kf_patterns lives. */
#include "check.h"
#include "random.h"

#include "kato_fast/pattern.h"

#include <string.h>

#define MOST 64

/* Room for a pattern of MOST symbols. */
typedef union {
    kf_pattern pattern;
    uint32_t words[(sizeof(kf_pattern) + 2 * MOST * sizeof(uint32_t)) / 4];
} room;

static void
random_pattern(random_source *random, room *out, bool single)
{
    kf_pattern *pattern = &out->pattern;
    uint32_t *ids = (uint32_t *)((char *)out + offsetof(kf_pattern, ids));
    uint32_t n = 1 + random_below(random, MOST);
    uint32_t end = 0;
    pattern->n = n;
    pattern->n_events = 0;
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = random_below(random, 5);
    }
    while (end < n) {
        end += single ? 1 : 1 + random_below(random, 4);
        end = end < n ? end : n;
        ids[n + pattern->n_events++] = end;
    }
}

static void
test_event_from(random_source *random)
{
    for (int round = 0; round < 500; round++) {
        static room made;
        const kf_pattern *pattern = &made.pattern;
        random_pattern(random, &made, round % 4 == 0);
        for (uint32_t position = 0; position <= pattern->n; position++) {
            uint32_t event = 0;
            while (event < pattern->n_events &&
                   kf_pattern_start(pattern, event) < position) {
                event++;
            }
            CHECK(kf_pattern_event_from(pattern, position) == event);
        }
        CHECK(kf_pattern_start(pattern, pattern->n_events) == pattern->n);
    }
}

/* Turn around the order inside every event. */
static void
reverse_events(room *made)
{
    uint32_t *ids = (uint32_t *)((char *)made + offsetof(kf_pattern, ids));
    for (uint32_t event = 0; event < made->pattern.n_events; event++) {
        uint32_t low = kf_pattern_start(&made->pattern, event);
        uint32_t high = ids[made->pattern.n + event];
        while (low + 1 < high) {
            uint32_t swap = ids[low];
            ids[low++] = ids[--high];
            ids[high] = swap;
        }
    }
}

static void
test_future_hash(random_source *random)
{
    unsigned equal = 0;
    for (int round = 0; round < 2000; round++) {
        static room made;
        kf_pattern *pattern = &made.pattern;
        uint32_t first = 0;
        uint64_t hash;
        random_pattern(random, &made, false);
        first = random_below(random, pattern->n_events + 1);
        hash = kf_pattern_future_hash(pattern, first);
        reverse_events(&made);
        CHECK(kf_pattern_future_hash(pattern, first) == hash);
        if (first < pattern->n_events) {
            equal += kf_pattern_future_hash(pattern, first + 1) == hash;
            made.pattern.ids[pattern->n - 1] += 7;
            equal += kf_pattern_future_hash(pattern, first) == hash;
        }
    }
    CHECK(equal == 0);
}

/* Where the events end matters: [ab][c] is not [a][bc]. */
static void
test_future_hash_sees_events(void)
{
    static room a;
    static room b;
    uint32_t *a_ids = (uint32_t *)((char *)&a + offsetof(kf_pattern, ids));
    uint32_t *b_ids = (uint32_t *)((char *)&b + offsetof(kf_pattern, ids));
    static const uint32_t one[] = {1, 2, 3, 2, 3};
    static const uint32_t other[] = {1, 2, 3, 1, 3};
    a.pattern.n = b.pattern.n = 3;
    a.pattern.n_events = b.pattern.n_events = 2;
    memcpy(a_ids, one, sizeof one);
    memcpy(b_ids, other, sizeof other);
    CHECK(kf_pattern_future_hash(&a.pattern, 0) !=
          kf_pattern_future_hash(&b.pattern, 0));
}

static void
test_shares(void)
{
    static const uint8_t key[16] = {0};
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_patterns *patterns;
    char *held;
    CHECK(kf_patterns_new(&alloc, key, &patterns, NULL) == KF_OK);
    held = kf_arena_take(&patterns->arena, 10);
    CHECK(held != NULL);
    CHECK(kf_patterns_share(patterns) == patterns);
    kf_patterns_release(patterns);
    memset(held, 1, 10); /* still there */
    kf_patterns_release(patterns);
    kf_patterns_release(NULL);
    CHECK(memory.live == 0);
}

static void
test_no_memory(void)
{
    static const uint8_t key[16] = {0};
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_patterns *patterns = NULL;
        kf_error err;
        done = kf_patterns_new(&alloc, key, &patterns, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && patterns == NULL));
        failures += !done;
        kf_patterns_release(patterns);
    }
    CHECK(failures == 3);
}

int
main(void)
{
    random_source random = random_start();
    test_event_from(&random);
    test_future_hash(&random);
    test_future_hash_sees_events();
    test_shares();
    test_no_memory();
    return check_report();
}
