/* Segments against the patterns that they were built of, and damaged images
 * against what may be read of them. */
#include "check.h"
#include "segments.h"

#include "kato_fast/postings.h"

#include <time.h>

static uint64_t seed;

/* --- what a segment must say about its patterns --- */

static uint32_t
count_in(const kf_pattern *pattern, uint32_t global)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pattern->n; i++) {
        count += pattern->ids[i] == global;
    }
    return count;
}

static bool
list_has(const kf_segment *segment, uint32_t list, uint32_t local)
{
    kf_list at = kf_segment_list(segment, list);
    if (at.count == KF_LIST_BITMAP) {
        const uint64_t *words =
            (const uint64_t *)(segment->postings + at.start);
        return words[local / 64] >> (local % 64) & 1;
    }
    for (uint32_t i = 0; i < at.count; i++) {
        if (segment->postings[at.start + i] == local) {
            return true;
        }
    }
    return false;
}

/* The list of the k-th occurrence. */
static uint32_t
list_of(const kf_segment *segment, uint32_t symbol, uint32_t k)
{
    uint32_t first;
    uint32_t end;
    kf_segment_more(segment, symbol, &first, &end);
    return k == 1 ? symbol : first + k - 2;
}

static void
check_lists_of(const kf_segment *segment, const kf_pattern *pattern,
               uint32_t local, uint32_t global)
{
    uint32_t symbol = kf_segment_symbol(segment, global);
    uint32_t first;
    uint32_t end;
    uint32_t lists;
    uint32_t count = count_in(pattern, global);
    kf_segment_more(segment, symbol, &first, &end);
    lists = end - first + 1;
    CHECK(lists >= count);
    for (uint32_t k = count < 9 ? 1 : count - 8; k <= lists && k < count + 3;
         k++) {
        CHECK(list_has(segment, list_of(segment, symbol, k), local) ==
              (k <= count));
    }
}

static void
check_pattern(const kf_segment *segment, const kf_pattern *pattern,
              uint32_t row, bool all)
{
    uint32_t local = kf_segment_local(segment, row);
    uint32_t *out = malloc(2 * pattern->n * sizeof *out);
    uint32_t n_events;
    CHECK(segment->order[local] == row);
    CHECK(kf_segment_read(segment, local, out, &n_events) == pattern->n);
    CHECK(n_events == pattern->n_events);
    CHECK(memcmp(out, pattern->ids, (pattern->n + n_events) * sizeof *out) ==
          0);
    for (uint32_t i = 0; i < pattern->n; i += all ? 1 : 7) {
        check_lists_of(segment, pattern, local, pattern->ids[i]);
    }
    free(out);
}

static void
check_sorted(const kf_segment *segment)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t local = 1; local < h->n_patterns; local++) {
        uint32_t before = kf_segment_run(segment, local - 1)->n;
        uint32_t n = kf_segment_run(segment, local)->n;
        CHECK(before < n || (before == n && segment->order[local - 1] <
                                                segment->order[local]));
    }
}

/* As few bits above 16 as a symbol needs, in a power of two. */
static void
check_width(const kf_segment *segment)
{
    const kf_segment_header *h = segment->header;
    uint32_t bits = h->high_bits;
    CHECK((h->n_symbols <= 65536) == (bits == 0));
    CHECK((segment->high == NULL) == (bits == 0));
    CHECK(bits == 0 || (uint64_t)h->n_symbols <= (uint64_t)65536 << bits);
    CHECK(bits < 2 || (uint64_t)h->n_symbols > (uint64_t)65536 << bits / 2);
}

static void
check_segment(const kf_segment *segment, const segments_patterns *patterns,
              bool all)
{
    uint32_t count = 0;
    bool single = true;
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        const kf_pattern *pattern = patterns->rows[row];
        if (pattern == NULL) {
            CHECK(kf_segment_local(segment, row) == KF_SEGMENT_ROWS);
            continue;
        }
        count++;
        single = single && pattern->n == pattern->n_events;
        check_pattern(segment, pattern, row, all);
    }
    CHECK((segment->ends == NULL) == single);
    CHECK(segment->header->n_patterns == count);
    CHECK(kf_segment_symbol(segment, 0xfffffff0u) == KF_SYMBOL_NONE);
    CHECK(kf_segment_symbol(segment, KF_SYMBOL_NONE) == KF_SYMBOL_NONE);
    CHECK(kf_segment_local(segment, KF_SEGMENT_ROWS) == KF_SEGMENT_ROWS);
    CHECK((segment->globals == NULL) == segment->header->is_direct);
    check_sorted(segment);
    check_width(segment);
}

/* --- opening what was built --- */

static void *
copy_image(const kf_segment *segment)
{
    size_t size = segment->header->size;
    void *copy = aligned_alloc(64, (size + 63) & ~(size_t)63);
    memcpy(copy, segment->header, size);
    return copy;
}

static void
note_release(void *context)
{
    ++*(int *)context;
}

static void
check_open(const kf_segment *segment, const segments_patterns *patterns)
{
    void *image = copy_image(segment);
    size_t size = segment->header->size;
    kf_segment *opened = NULL;
    kf_error err = {0};
    int released = 0;
    if (!CHECK(kf_segment_open(&kf_alloc_default, image, size, note_release,
                               &released, &opened, &err) == KF_OK)) {
        fprintf(stderr, "%s\n", err.message);
        free(image);
        return;
    }
    check_segment(opened, patterns, false);
    CHECK(kf_segment_share(opened) == opened);
    kf_segment_release(opened);
    CHECK(released == 0);
    kf_segment_release(opened);
    CHECK(released == 1);
    CHECK(kf_segment_open(&kf_alloc_default, image, size - 1, NULL, NULL,
                          &opened, &err) == KF_INVALID);
    CHECK(kf_segment_open(&kf_alloc_default, (char *)image + 8, size, NULL,
                          NULL, &opened, &err) == KF_INVALID);
    CHECK(kf_segment_open(&kf_alloc_default, image, 7, NULL, NULL, &opened,
                          &err) == KF_INVALID);
    free(image);
}

static void
check_build(segments_patterns patterns, bool all)
{
    kf_segment *segment = NULL;
    kf_error err;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, &err) == KF_OK);
    check_segment(segment, &patterns, all);
    check_open(segment, &patterns);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* --- kinds of patterns --- */

/* Ids that share their slot under the first multiplier, whatever the size of
 * the table; each in two patterns. */
static segments_patterns
colliding_patterns(uint32_t count)
{
    uint32_t inverse = 1;
    segments_patterns made = segments_patterns_new();
    for (int i = 0; i < 5; i++) {
        inverse *= 2 - 0x9e3779b1u * inverse;
    }
    for (uint32_t row = 0; row < count; row++) {
        uint32_t ids[2] = {(row + 1) * inverse, (row + 2) * inverse};
        segments_add(&made, row, ids, 2, &seed);
    }
    return made;
}

/* Events of one symbol each. */
static segments_patterns
single_patterns(uint32_t count)
{
    segments_patterns made = segments_few(count, 20, 40, &seed);
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        kf_pattern *pattern = made.rows[row];
        for (uint32_t i = 0; pattern != NULL && i < pattern->n; i++) {
            pattern->ids[pattern->n + i] = i + 1;
        }
        if (pattern != NULL) {
            pattern->n_events = pattern->n;
        }
    }
    return made;
}

/* One pattern of each of `count` lengths, from 2 on. */
static segments_patterns
lengths_patterns(uint32_t count)
{
    segments_patterns made = segments_patterns_new();
    uint32_t *ids = malloc((count + 2) * sizeof *ids);
    for (uint32_t i = 0; i < count + 2; i++) {
        ids[i] = segments_below(&seed, 99) * 5;
    }
    for (uint32_t row = 0; row < count; row++) {
        segments_add(&made, row * 7, ids, 2 + row, &seed);
    }
    free(ids);
    return made;
}

/* Patterns of 7 symbols, which all are different, but for every third
 * pattern; symbols next to each other have ids `apart`. */
static segments_patterns
different_patterns(uint32_t count, uint32_t apart)
{
    segments_patterns made = segments_patterns_new();
    for (uint32_t row = 0; row < count; row++) {
        uint32_t ids[7];
        for (uint32_t i = 0; i < 7; i++) {
            ids[i] = (7 * (row - (row % 3 == 2)) + i) * apart;
        }
        segments_add(&made, row, ids, 7, &seed);
    }
    return made;
}

/* Four symbols each, of two that are too far from each other for distances
 * and near enough for numbers. */
static segments_patterns
far_patterns(uint32_t count)
{
    segments_patterns made = segments_patterns_new();
    for (uint32_t row = 0; row < count; row++) {
        segments_add(&made, row, (uint32_t[]){0, 100, 0, 100}, 4, &seed);
    }
    return made;
}

static void
test_kinds(void)
{
    segments_zipf zipf = segments_zipf_new(10000, 1.0);
    segments_patterns longest = segments_few(3, 50, 70, &seed);
    uint32_t *ids = calloc(KF_SYMBOLS_MAX, sizeof *ids);
    check_build(segments_patterns_new(), true);
    check_build(segments_few(1, 5, 5, &seed), true);
    check_build(segments_few(300, 20, 80, &seed), true);
    check_build(segments_few(3000, 3000, 30, &seed), true);
    check_build(segments_equal(5000, 6, 1, &seed), true);
    check_build(segments_equal(KF_SEGMENT_ROWS, 3, 2, &seed), false);
    check_build(segments_equal(KF_LIST_DENSE, 5, 4, &seed), true);
    check_build(segments_equal(KF_LIST_DENSE + 1, 5, 4, &seed), true);
    check_build(segments_wide(3000, 50, &seed), false);
    check_build(colliding_patterns(20000), false);
    check_build(single_patterns(50), true);
    check_build(lengths_patterns(256), true);
    check_build(lengths_patterns(257), true);
    check_build(different_patterns(14043, 1), false); /* 65,534 symbols */
    check_build(different_patterns(14044, 1), false); /* 65,541 */
    check_build(different_patterns(28087, 2), false); /* 131,075 */
    check_build(different_patterns(60000, 1), false); /* 4 bits */
    check_build(different_patterns(60000, 50), false);
    check_build(far_patterns(2000), true);
    check_build(segments_of_zipf(&zipf, KF_SEGMENT_ROWS, &seed), false);
    segments_add(&longest, 77, ids, KF_SYMBOLS_MAX, &seed);
    check_build(longest, false);
    free(ids);
    free(zipf.sums);
}

/* --- damage --- */

/* Every pattern, and the candidates for all symbols there are: all of them,
 * where the need is 1. */
static void
use_all(const kf_segment *segment, kf_postings_scratch *scratch)
{
    static uint32_t need[KF_SYMBOLS_MAX + 1];
    static uint16_t locals[KF_SEGMENT_ROWS];
    static uint32_t out[2 * KF_SYMBOLS_MAX];
    const kf_segment_header *h = segment->header;
    kf_postings_key *keys = malloc((h->n_symbols + 1) * sizeof *keys);
    uint32_t n_events;
    uint32_t count;
    bool good = true;
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        uint32_t n = kf_segment_read(segment, local, out, &n_events);
        good = good && out[n + n_events - 1] == n;
        for (uint32_t i = 0; i < n; i++) {
            good = good && kf_segment_symbol(segment, out[i]) < h->n_symbols;
        }
    }
    for (uint32_t i = 0; i < h->n_symbols; i++) {
        keys[i] = (kf_postings_key){i, 1 + i % 3};
    }
    for (uint32_t n = 0; n <= KF_SYMBOLS_MAX; n++) {
        need[n] = 1;
    }
    count = kf_postings_candidates(segment, keys, h->n_symbols, need, scratch,
                                   locals);
    for (uint32_t i = 0; i < count; i++) {
        good = good && locals[i] < h->n_patterns &&
               (i == 0 || locals[i - 1] < locals[i]);
    }
    CHECK(good);
    free(keys);
}

static bool
is_refused(const void *image, size_t size)
{
    kf_segment *opened = NULL;
    kf_error err = {0};
    if (kf_segment_open(&kf_alloc_default, image, size, NULL, NULL, &opened,
                        &err) == KF_OK) {
        kf_segment_release(opened);
        return false;
    }
    CHECK(opened == NULL && strncmp(err.message, "segment: ", 9) == 0);
    return err.code == KF_INVALID;
}

/* One byte changed: refused with a reason, or as safe as before. */
static bool
check_flip(unsigned char *image, size_t size, size_t at, unsigned char flip,
           kf_postings_scratch *scratch)
{
    kf_segment *opened;
    bool refused;
    image[at] ^= flip;
    refused = is_refused(image, size);
    if (!refused) {
        CHECK(kf_segment_open(&kf_alloc_default, image, size, NULL, NULL,
                              &opened, NULL) == KF_OK);
        use_all(opened, scratch);
        kf_segment_release(opened);
    }
    image[at] ^= flip;
    return refused;
}

/* Whether the byte is one of the header, or of the first of an array. */
static bool
is_near_start(const kf_segment_header *h, size_t at)
{
    const uint64_t *offsets = &h->globals;
    bool is_near = at < sizeof *h;
    for (const uint64_t *array = offsets; array <= &h->postings; array++) {
        is_near = is_near || (at >= *array && at < *array + 200);
    }
    return is_near;
}

/* Those bytes, and every 61st of the rest. */
static void
check_flips(segments_patterns patterns)
{
    kf_postings_scratch *scratch = NULL;
    kf_segment *segment = NULL;
    const kf_segment_header *h;
    unsigned char *image;
    size_t taken = 0;
    CHECK(kf_postings_scratch_new(&kf_alloc_default, &scratch, NULL) == KF_OK);
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    h = segment->header;
    image = copy_image(segment);
    for (size_t at = 0; at < h->size; at++) {
        unsigned char bit = (unsigned char)(1u << at % 8);
        if (at % 61 == 0 || is_near_start(h, at)) {
            taken += !check_flip(image, h->size, at, bit, scratch);
            taken += !check_flip(image, h->size, at, 0xff, scratch);
        }
    }
    printf("%zu bytes, %zu changes can not be seen\n", (size_t)h->size, taken);
    free(image);
    kf_segment_release(segment);
    kf_postings_scratch_free(scratch);
    segments_patterns_free(&patterns);
}

/* A value of size bytes changed, and back. */
static void
check_refused(void *image, const void *place, const void *value, size_t size)
{
    const kf_segment_header *h = image;
    unsigned char before[8];
    memcpy(before, place, size);
    memcpy((void *)place, value, size);
    CHECK(is_refused(image, h->size));
    memcpy((void *)place, before, size);
    CHECK(!is_refused(image, h->size));
}

/* What no single check but one would see. */
static void
check_damages(void)
{
    segments_patterns patterns = far_patterns(3);
    kf_segment *segment = NULL;
    kf_segment *copy = NULL;
    void *image;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    CHECK(segment->header->n_numbers == 101);
    image = copy_image(segment);
    CHECK(kf_segment_open(&kf_alloc_default, image, segment->header->size,
                          NULL, NULL, &copy, NULL) == KF_OK);
    check_refused(image, &copy->postings[0], &copy->postings[1], 2);
    check_refused(image, &copy->postings[2], &(uint16_t){3}, 2);
    check_refused(image, &copy->ids[5], &(uint16_t){2}, 2);
    check_refused(image, &copy->order[1], &copy->order[0], 2);
    check_refused(image, &copy->order[0], &copy->order[1], 2);
    check_refused(image, &copy->run_of8[1], &(uint8_t){1}, 1);
    check_refused(image, &copy->runs[0].offset, &(uint64_t){1}, 8);
    check_refused(image, &copy->runs[1].offset, &(uint64_t){1}, 8);
    check_refused(image, &copy->globals[1], &copy->globals[0], 4);
    check_refused(image, &copy->numbers[1], &copy->numbers[0], 2);
    check_refused(image, &copy->numbers[0], &(uint16_t){0xffff}, 2);
    check_refused(image, &copy->more[0].symbol, &(uint32_t){1}, 4);
    check_refused(image, &copy->more[1].list, &(uint32_t){2}, 4);
    check_refused(image, &copy->more[2].symbol, &(uint32_t){2}, 4);
    check_refused(image, &copy->groups[0].ends[1], &(uint16_t){5}, 2);
    check_refused(image, &copy->groups[0].ends[4], &(uint16_t){1}, 2);
    check_refused(image, &copy->ends[1], &(uint64_t){1}, 8);
    check_refused(image, &copy->ends[0], &(uint64_t){0x7fff}, 8);
    kf_segment_release(copy);
    free(image);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* Symbols that are far from each other are found by slots. */
static void
check_slot_damages(void)
{
    segments_patterns patterns = different_patterns(3, 100000);
    kf_segment *segment = NULL;
    kf_segment *copy = NULL;
    void *image;
    uint32_t number = 0;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    image = copy_image(segment);
    CHECK(kf_segment_open(&kf_alloc_default, image, segment->header->size,
                          NULL, NULL, &copy, NULL) == KF_OK);
    while (copy->slots[number].global != KF_SYMBOL_NONE) {
        number++;
    }
    check_refused(image, &copy->slots[number].global, &(uint32_t){77}, 4);
    check_refused(image, &copy->slots[number].local, &(uint32_t){0}, 4);
    check_refused(image, &copy->globals[1], &copy->globals[0], 4);
    kf_segment_release(copy);
    free(image);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* Ids of 17 bits, of which the largest is told by their number: each of
 * eight that are looked at together, and those behind the last eight. */
static void
check_wide_damages(void)
{
    segments_patterns patterns = segments_wide(3001, 50, &seed);
    kf_segment *segment = NULL;
    kf_segment *copy = NULL;
    kf_segment_header *h;
    uint16_t beyond;
    void *image;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    image = copy_image(segment);
    h = image;
    CHECK(h->high_bits == 1 && h->n_ids % 8 != 0);
    beyond = (uint16_t)(h->n_symbols - 65536);
    CHECK(kf_segment_open(&kf_alloc_default, image, h->size, NULL, NULL, &copy,
                          NULL) == KF_OK);
    for (uint64_t near_end = 1; near_end <= 17; near_end++) {
        uint64_t i = near_end <= 16 ? h->n_ids - near_end : 0;
        uint8_t *high = (uint8_t *)&copy->high[i / 8];
        uint8_t before = *high;
        *high |= (uint8_t)(1u << i % 8);
        uint16_t low = copy->ids[i];
        memcpy((void *)&copy->ids[i], &beyond, 2);
        CHECK(is_refused(image, h->size));
        memcpy((void *)&copy->ids[i], &low, 2);
        *high = before;
    }
    kf_segment_release(copy);
    free(image);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* A bitmap with a pattern too many, and with one there is not. */
static void
check_bitmap_damages(void)
{
    segments_patterns patterns =
        segments_equal(KF_LIST_DENSE + 9, 2, 2, &seed);
    kf_segment *segment = NULL;
    kf_segment *copy = NULL;
    uint64_t *words;
    void *image;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    image = copy_image(segment);
    CHECK(kf_segment_open(&kf_alloc_default, image, segment->header->size,
                          NULL, NULL, &copy, NULL) == KF_OK);
    words = (uint64_t *)copy->postings;
    check_refused(image, &words[3], &(uint64_t){~(uint64_t)1}, 8);
    check_refused(image, &copy->bitmaps[0], &(uint32_t){1}, 4);
    words[3] = ~(uint64_t)1;
    words[1000] = 1;
    CHECK(is_refused(image, segment->header->size));
    words[1000] = 0;
    words[3] = 0; /* so few that an array would hold them */
    CHECK(is_refused(image, segment->header->size));
    kf_segment_release(copy);
    free(image);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* Images that agree with themselves, but for an empty list, or for a longer
 * pattern before a shorter one. */
static void
check_crafted(void)
{
    segments_patterns patterns = segments_patterns_new();
    kf_segment *segment = NULL;
    kf_segment *copy = NULL;
    uint16_t *ends;
    kf_run *runs;
    void *image;
    segments_add(&patterns, 0, (uint32_t[]){700, 500}, 2, &seed);
    segments_add(&patterns, 1, (uint32_t[]){700, 600, 700}, 3, &seed);
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    image = copy_image(segment);
    CHECK(kf_segment_open(&kf_alloc_default, image, segment->header->size,
                          NULL, NULL, &copy, NULL) == KF_OK);
    ends = (uint16_t *)copy->groups[0].ends;
    CHECK(ends[0] == 2 && ends[1] == 3 && ends[2] == 4);
    ends[1] = 4;
    CHECK(is_refused(image, segment->header->size));
    ends[1] = 3;
    *(uint64_t *)copy->ends = 0x1f;
    CHECK(!is_refused(image, segment->header->size));
    runs = (kf_run *)copy->runs;
    runs[0].n = 3;
    runs[1] = (kf_run){2, 1, 3};
    CHECK(is_refused(image, segment->header->size));
    kf_segment_release(copy);
    free(image);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* More symbols than a pattern may have. */
static void
check_too_long(void)
{
    segments_patterns patterns = segments_wide(1, 70000, &seed);
    kf_segment *segment = NULL;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    CHECK(is_refused(segment->header, segment->header->size));
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* Too short for its counts, also where it says that it is not. */
static void
check_cuts(void)
{
    segments_patterns patterns = segments_few(9, 9, 9, &seed);
    kf_segment *segment = NULL;
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    for (size_t size = 0; size < segment->header->size; size += 97) {
        /* Of exactly this size, so that the sanitizer sees a read behind. */
        unsigned char *image = aligned_alloc(64, (size + 64) & ~(size_t)63);
        memcpy(image, segment->header, size);
        CHECK(is_refused(image, size));
        if (size >= sizeof(kf_segment_header)) {
            ((kf_segment_header *)image)->size = size;
            CHECK(is_refused(image, size));
        }
        free(image);
    }
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* --- memory --- */

static void
test_memory(void)
{
    segments_patterns patterns = segments_few(2000, 900, 20, &seed);
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    CHECK_EACH_FAILURE (memory, done) {
        kf_segment *segment = NULL;
        kf_error err;
        done = kf_segment_build(&alloc, segments_rows(&patterns), &segment,
                                &err) == KF_OK;
        if (done) {
            CHECK(atomic_load(&memory.live) == 2);
            kf_segment_release(segment);
        }
        else {
            CHECK(err.code == KF_NO_MEMORY && segment == NULL);
        }
    }
    segments_patterns_free(&patterns);
}

int
main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    test_kinds();
    check_flips(segments_few(1, 3, 4, &seed));
    check_flips(segments_few(40, 9, 12, &seed));
    check_flips(segments_equal(KF_LIST_DENSE + 9, 2, 2, &seed));
    check_flips(different_patterns(40, 1));
    check_flips(different_patterns(20, 1000));
    check_damages();
    check_slot_damages();
    check_wide_damages();
    check_bitmap_damages();
    check_crafted();
    check_too_long();
    check_cuts();
    test_memory();
    return check_report();
}
