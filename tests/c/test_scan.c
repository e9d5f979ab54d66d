/* Matches of a state: of an open block, of sealed ones and of both together,
 * against every pattern aligned by itself and the host's rules word by
 * word. */
#include "blocks.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the plain way --- */

static uint32_t
event_of(const kf_pattern *pattern, uint32_t position)
{
    uint32_t event = 0;
    while (kf_pattern_ends(pattern)[event] <= position) {
        event++;
    }
    return event;
}

/* Section 6.1 of the host. */
static void
plain_present(const kf_pattern *pattern, const kf_alignment *alignment,
              uint32_t *start, uint32_t *end_)
{
    uint32_t first;
    uint32_t before;
    *start = 0;
    *end_ = pattern->n;
    if (alignment->blocks == 0) {
        return;
    }
    /* The event with the first matched symbol, or the one behind where the
     * symbol is not its first; one back where that has the symbol. */
    first = event_of(pattern, alignment->first);
    first += kf_pattern_start(pattern, first) < alignment->first;
    for (before = first > 0 ? kf_pattern_start(pattern, first - 1) : 0;
         first > 0 && before < kf_pattern_start(pattern, first); before++) {
        if (pattern->ids[before] == pattern->ids[alignment->first]) {
            first--;
            break;
        }
    }
    *start = kf_pattern_start(pattern, first);
    *end_ = kf_pattern_ends(pattern)[event_of(pattern, alignment->end - 1)];
}

/* The match of one pattern, future_hash apart; false where it is none. */
static bool
plain_match(const question *q, kf_align_scratch *scratch,
            const kf_pattern *pattern, bool *seen, kf_match *out)
{
    const kf_state *state = q->state;
    kf_alignment alignment;
    uint32_t start;
    uint32_t last;
    if (q->scan.index != NULL &&
        !kf_host_index_finds(&q->index, pattern->ids, pattern->n)) {
        return false;
    }
    kf_align(state->align, scratch, pattern->ids, pattern->n, 0, &alignment);
    memset(out, 0, sizeof *out);
    out->n = (uint16_t)pattern->n;
    out->matched = (uint16_t)alignment.matched;
    out->similarity = 2.0 * alignment.matched / (pattern->n + state->m);
    if (alignment.blocks == 0 ? q->scan.threshold != 0.0
                              : out->similarity < q->scan.threshold) {
        return false;
    }
    plain_present(pattern, &alignment, &start, &last);
    out->present_start = (uint16_t)start;
    out->present_end = (uint16_t)last;
    for (uint32_t j = 0; j < state->m; j++) {
        for (uint32_t i = start; i < last; i++) {
            seen[j] = seen[j] || pattern->ids[i] == state->ids[j];
        }
    }
    return true;
}

static void
check_seen(question *q, const bool *expected)
{
    memset(q->seen, 0, sizeof q->seen);
    kf_scan_collect_seen(&q->scan, q->scratch, q->seen);
    for (uint32_t j = 0; j < q->state->m; j++) {
        CHECK(((q->seen[j / 64] >> (j % 64)) & 1) == expected[j]);
    }
}

static bool
same_match(const kf_match *a, const kf_match *b)
{
    return a->row == b->row && a->n == b->n && a->matched == b->matched &&
           a->similarity == b->similarity &&
           a->present_start == b->present_start &&
           a->present_end == b->present_end;
}

/* --- futures --- */

typedef struct {
    uint64_t plain; /* of the sorted events */
    uint64_t hash[2];
} future;

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t
plain_future(const kf_pattern *pattern, uint32_t start)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    uint32_t event = kf_pattern_event_from(pattern, start);
    for (; event < pattern->n_events; event++) {
        uint32_t ids[LONGEST];
        uint32_t n =
            kf_pattern_ends(pattern)[event] - kf_pattern_start(pattern, event);
        memcpy(ids, pattern->ids + kf_pattern_start(pattern, event),
               n * sizeof *ids);
        qsort(ids, n, sizeof *ids, compare_ids);
        for (uint32_t i = 0; i < n; i++) {
            hash = (hash ^ ids[i]) * 0x100000001b3u;
        }
        hash = (hash ^ UINT32_MAX) * 0x100000001b3u;
    }
    return hash;
}

static int
compare_futures(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(future));
}

static int
compare_hashes(const void *a, const void *b)
{
    const future *x = a;
    const future *y = b;
    return memcmp(x->hash, y->hash, sizeof x->hash);
}

/* Equal futures have equal hashes, others have other ones. */
static void
check_futures(const kf_matches *matches, kf_pattern *const *patterns)
{
    size_t count = matches->count;
    future *all = calloc(count + 1, sizeof *all);
    for (size_t i = 0; i < count; i++) {
        const kf_match *match = &matches->items[i];
        all[i].plain = plain_future(patterns[i], match->present_end);
        memcpy(all[i].hash, match->future_hash, sizeof all[i].hash);
    }
    qsort(all, count, sizeof *all, compare_futures);
    for (size_t i = 1; i < count; i++) {
        CHECK((all[i].plain == all[i - 1].plain) ==
              (compare_hashes(&all[i], &all[i - 1]) == 0));
    }
    qsort(all, count, sizeof *all, compare_hashes);
    for (size_t i = 1; i < count; i++) {
        CHECK((all[i].plain == all[i - 1].plain) ==
              (compare_hashes(&all[i], &all[i - 1]) == 0));
    }
    free(all);
}

/* --- comparing --- */

/* The matches of the block whose rows begin at base. sealed: without those
 * forgotten. Also adds to seen. */
static void
check_block(question *q, const block *of, bool sealed, uint32_t base,
            uint32_t first, uint32_t last, const kf_matches *found, bool *seen)
{
    kf_align_scratch *scratch;
    kf_pattern **patterns = calloc(found->count + 1, sizeof *patterns);
    size_t at = 0;
    CHECK(kf_align_scratch_new(&kf_alloc_default, q->state->align, LONGEST,
                               &scratch, NULL) == KF_OK);
    for (uint32_t row = first; row < last; row++) {
        kf_match expected;
        if ((sealed && of->forgotten[row]) ||
            !plain_match(q, scratch, of->head->patterns[row], seen,
                         &expected)) {
            continue;
        }
        expected.row = base + row;
        if (CHECK(at < found->count) &&
            CHECK(same_match(&found->items[at], &expected))) {
            patterns[at] = (kf_pattern *)of->head->patterns[row];
        }
        at++;
    }
    if (CHECK(at == found->count)) {
        check_futures(found, patterns);
    }
    kf_align_scratch_free(scratch);
    free(patterns);
}

/* Pieces of patterns, with faults. */
static uint32_t
random_state(random_source *random, const block *of, uint32_t *ids)
{
    static const uint32_t sizes[] = {2, 5, 20, 63, 64, 65, 100, STATE_MAX};
    uint32_t m = random_below(random, 2)
                     ? sizes[random_below(random, 8)]
                     : 2 + random_below(random, STATE_MAX - 1);
    for (uint32_t j = 0; j < m;) {
        const kf_pattern *pattern =
            of->head->patterns[random_below(random, of->head->count)];
        uint32_t i = random_below(random, pattern->n);
        uint32_t run = 1 + random_below(random, 8);
        for (; run > 0 && i < pattern->n && j < m; run--, i++) {
            ids[j++] = random_below(random, 6)   ? pattern->ids[i]
                       : random_below(random, 2) ? KF_SYMBOL_NONE
                                                 : random_below(random, 50);
        }
    }
    return m;
}

static double
random_threshold(random_source *random)
{
    static const double usual[] = {0.0, -1.0, 0.1, 0.3, 0.5, 5e-324};
    uint32_t total = 2 + random_below(random, 100);
    double tie = 2.0 * random_below(random, total / 2) / total;
    switch (random_below(random, 4)) {
    case 0:
        return nextafter(tie, 1.0);
    case 1:
        return tie;
    default:
        return usual[random_below(random, 6)];
    }
}

static void
set_index(question *q)
{
    kf_host_index_ask(q->state->ids, q->state->m, &q->index);
    q->index.any_similar = q->state->m % 2 == 0;
    q->scan.index = &q->index;
}

static uint32_t
longest_before(const block *of, uint32_t row)
{
    uint32_t longest = 0;
    while (row-- > 0) {
        uint32_t n = of->head->patterns[row]->n;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* All rows of one form at once. */
static void
compare_form(kf_symbols *symbols, const block *of, int form,
             const uint32_t *ids, uint32_t m, double threshold, bool indexed)
{
    kf_block_of_rows rows = rows_of(of, form);
    kf_root *root = new_root(symbols, &rows, 1);
    bool seen[STATE_MAX] = {false};
    question q;
    kf_matches found = {0};
    ask(&q, root, ids, m, threshold, of->longest);
    if (indexed) {
        set_index(&q);
    }
    scan(&q, 0, of->head->count, &found);
    check_block(&q, of, form == SEALED, 0, 0, of->head->count, &found, seen);
    check_seen(&q, seen);
    kf_matches_free(&kf_alloc_default, &found);
    end(&q);
    kf_root_release(root);
}

/* As a search does beside a writer: it was told of some rows, scans them
 * while the block is open, and the rest of them in what became of it. What
 * comes behind them, longer patterns as well, is not looked at. A sealed
 * block is never sealed before all of it is told. */
static void
compare_catching_up(random_source *random, kf_symbols *symbols,
                    const block *of, int form, const uint32_t *ids, uint32_t m,
                    double threshold)
{
    kf_block_of_rows rows[2] = {rows_of(of, OPEN), rows_of(of, form)};
    kf_root *roots[2] = {new_root(symbols, &rows[0], 1),
                         new_root(symbols, &rows[1], 1)};
    uint32_t last = form == SEALED ? of->head->count
                                   : 1 + random_below(random, of->head->count);
    uint32_t first = random_below(random, last);
    bool seen[STATE_MAX] = {false};
    question q;
    kf_matches before = {0};
    kf_matches after = {0};
    ask(&q, roots[0], ids, m, threshold, longest_before(of, last));
    scan(&q, 0, first, &before);
    check_block(&q, of, false, 0, 0, first, &before, seen);
    check_seen(&q, seen);
    q.scan.root = roots[1];
    scan(&q, first, last, &after);
    check_block(&q, of, form == SEALED, 0, first, last, &after, seen);
    check_seen(&q, seen);
    kf_matches_free(&kf_alloc_default, &before);
    kf_matches_free(&kf_alloc_default, &after);
    end(&q);
    kf_root_release(roots[0]);
    kf_root_release(roots[1]);
}

static void
compare_forms(random_source *random, const block *of, kf_symbols *symbols)
{
    uint32_t ids[STATE_MAX];
    uint32_t m = random_state(random, of, ids);
    double threshold = random_threshold(random);
    bool indexed = random_below(random, 4) == 0;
    for (int form = 0; form < FORMS; form++) {
        compare_form(symbols, of, form, ids, m, threshold, indexed);
        compare_catching_up(random, symbols, of, form, ids, m, threshold);
    }
}

/* Two sealed blocks and an open one, in any order, on one scratch. */
static void
compare_blocks(random_source *random, block *const blocks[3],
               kf_symbols *symbols)
{
    kf_block_of_rows rows[3] = {rows_of(blocks[0], SEALED),
                                rows_of(blocks[1], SEALED),
                                rows_of(blocks[2], PIECED)};
    kf_root *root = new_root(symbols, rows, 3);
    uint32_t ids[STATE_MAX];
    uint32_t m = random_state(random, blocks[random_below(random, 3)], ids);
    bool seen[STATE_MAX] = {false};
    uint32_t b = random_below(random, 3);
    question q;
    ask(&q, root, ids, m, random_threshold(random), LONGEST);
    for (int turn = 0; turn < 4; turn++) { /* one of them twice */
        uint32_t count = blocks[b]->head->count;
        uint32_t base = b * KF_SEGMENT_ROWS;
        kf_matches found = {0};
        scan(&q, base, base + count, &found);
        check_block(&q, blocks[b], b < 2, base, 0, count, &found, seen);
        check_seen(&q, seen);
        kf_matches_free(&kf_alloc_default, &found);
        b = (b + 2) % 3;
    }
    end(&q);
    kf_root_release(root);
}

static void
test_against_the_plain_way(random_source *random)
{
    static const struct {
        uint32_t vocabulary;
        uint32_t count;
        int rounds;
    } kinds[] = {{3, 400, 50}, {50, 400, 50}, {900, 9000, 4}, {0, 2000, 20}};
    block *blocks[4];
    kf_symbols *symbols = number_symbols(1000 + 2000 * LONGEST);
    for (int b = 0; b < 4; b++) {
        blocks[b] = random_block(random, kinds[b].count, kinds[b].vocabulary);
        for (int round = 0; round < kinds[b].rounds; round++) {
            compare_forms(random, blocks[b], symbols);
        }
    }
    /* One has pieces; one has so many symbols that they take 32 bits. */
    CHECK(blocks[2]->pieced->n_pieces == 9000 / KF_HEAD_PIECE);
    CHECK(blocks[3]->segment->high != NULL);
    for (int round = 0; round < 20; round++) {
        block *three[3] = {blocks[round % 4], blocks[(round + 1) % 4],
                           blocks[(round + 2) % 4]};
        compare_blocks(random, three, symbols);
    }
    for (int b = 0; b < 4; b++) {
        free_block(blocks[b]);
    }
    kf_symbols_release(symbols);
}

/* A piece may be there before the search is told of all of its rows, one of
 * which is longer than all it knows. */
static void
test_rows_to_come(random_source *random)
{
    block *of = calloc(1, sizeof *of);
    kf_symbols *symbols = number_symbols(100);
    CHECK(kf_head_new(&kf_alloc_default, &of->head, NULL) == KF_OK);
    while (of->head->count < KF_HEAD_PIECE) {
        uint32_t ids[LONGEST];
        uint32_t ends[1];
        ends[0] = of->head->count == KF_HEAD_PIECE - 9
                      ? LONGEST
                      : 2 + random_below(random, 5);
        for (uint32_t i = 0; i < ends[0]; i++) {
            ids[i] = random_below(random, 20);
        }
        add_pattern(of->head, ids, ends[0], ends, 1);
    }
    seal(of, random, 0);
    for (int round = 0; round < 20; round++) {
        static const double thresholds[] = {0.0, 0.1, 0.3, 0.5};
        kf_block_of_rows rows = rows_of(of, PIECED);
        kf_root *root = new_root(symbols, &rows, 1);
        uint32_t ids[STATE_MAX];
        uint32_t m = round % 2 == 0 ? 5 : 70;
        uint32_t last = KF_HEAD_PIECE - 9 - random_below(random, 1000);
        bool seen[STATE_MAX] = {false};
        question q;
        kf_matches found = {0};
        for (uint32_t j = 0; j < m; j++) {
            ids[j] = random_below(random, 25);
        }
        ask(&q, root, ids, m, thresholds[random_below(random, 4)],
            longest_before(of, last));
        CHECK(q.scan.longest < 10);
        scan(&q, 0, last, &found);
        check_block(&q, of, false, 0, 0, last, &found, seen);
        check_seen(&q, seen);
        kf_matches_free(&kf_alloc_default, &found);
        end(&q);
        kf_root_release(root);
    }
    kf_symbols_release(symbols);
    free_block(of);
}

/* Without regions only what a list of matches needs. */
static void
test_other_secret_and_no_regions(random_source *random)
{
    block *of = random_block(random, 300, 20);
    kf_symbols *symbols = number_symbols(100);
    for (int form = 0; form < FORMS; form++) {
        kf_block_of_rows rows = rows_of(of, form);
        kf_root *root = new_root(symbols, &rows, 1);
        static const uint32_t ids[] = {1, 2, 3, 4};
        kf_matches found[3] = {{0}, {0}, {0}};
        for (int kind = 0; kind < 3; kind++) {
            question q;
            ask(&q, root, ids, 4, 0.1, of->longest);
            q.scan.regions = kind != 1;
            q.scan.secret += kind == 2;
            scan(&q, 0, 300, &found[kind]);
            end(&q);
        }
        CHECK(found[0].count > 10 && found[0].count == found[1].count &&
              found[0].count == found[2].count);
        for (size_t i = 0; i < found[0].count; i++) {
            const kf_match *a = &found[0].items[i];
            const kf_match *b = &found[1].items[i];
            const kf_match *c = &found[2].items[i];
            CHECK(a->row == b->row && a->n == b->n &&
                  a->matched == b->matched && a->similarity == b->similarity);
            CHECK(same_match(a, c));
            CHECK(a->present_end == a->n ||
                  (a->future_hash[0] != c->future_hash[0] &&
                   a->future_hash[1] != c->future_hash[1]));
        }
        for (int kind = 0; kind < 3; kind++) {
            kf_matches_free(&kf_alloc_default, &found[kind]);
        }
        kf_root_release(root);
    }
    kf_symbols_release(symbols);
    free_block(of);
}

/* --- no memory --- */

/* Both blocks, without spares of an earlier attempt. What was found before a
 * failure is freed by the caller. */
static bool
scan_both(kf_scan *scan, const block *const blocks[2])
{
    kf_spares spares;
    kf_scan_scratch *scratch = NULL;
    kf_matches found = {0};
    kf_error err = {.code = KF_OK};
    bool done;
    CHECK(kf_spares_init(&spares) == 0);
    scan->spares = &spares;
    done = kf_scan_scratch_new(scan, &scratch, &err) == KF_OK;
    CHECK(done || scratch == NULL);
    for (uint32_t b = 0; b < 2 && done; b++) {
        uint32_t base = b * KF_SEGMENT_ROWS;
        done = kf_scan_rows(scan, scratch, base, base + blocks[b]->head->count,
                            &found, &err) == KF_OK;
    }
    CHECK(done || err.code == KF_NO_MEMORY);
    CHECK(!done || found.count > 100);
    kf_matches_free(scan->alloc, &found);
    kf_scan_scratch_free(scratch);
    kf_spares_free(&spares);
    return done;
}

static void
test_no_memory(random_source *random, uint32_t m, double threshold)
{
    const block *blocks[2] = {random_block(random, 200, 50),
                              random_block(random, 200, 50)};
    kf_block_of_rows rows[2] = {{blocks[0]->segment, NULL},
                                {NULL, blocks[1]->head}};
    kf_symbols *symbols = number_symbols(100);
    kf_root *root = new_root(symbols, rows, 2);
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    uint32_t ids[STATE_MAX];
    question q;
    int failures = 0;
    for (uint32_t j = 0; j < m; j++) {
        ids[j] = random_below(random, 50);
    }
    ask(&q, root, ids, m, threshold, LONGEST);
    q.scan.alloc = &alloc; /* of the scans that follow */
    CHECK_EACH_FAILURE (memory, done) {
        done = scan_both(&q.scan, blocks);
        failures += !done;
    }
    CHECK(failures > 12);
    q.scan.spares = &q.spares;
    end(&q);
    kf_root_release(root);
    kf_symbols_release(symbols);
    free_block((block *)blocks[0]);
    free_block((block *)blocks[1]);
}

int
main(void)
{
    random_source random = random_start();
    test_against_the_plain_way(&random);
    test_rows_to_come(&random);
    test_other_secret_and_no_regions(&random);
    test_no_memory(&random, 20, 0.0);
    test_no_memory(&random, 20, 0.05);
    test_no_memory(&random, 70, 0.0);
    return check_report();
}
