/* Patterns: where events begin. */
#include "check.h"
#include "random.h"

#include "kato_fast/pattern.h"

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

int
main(void)
{
    random_source random = random_start();
    test_event_from(&random);
    return check_report();
}
