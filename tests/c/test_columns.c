/* Columns against plain arrays: frequencies in 8 to 64 bits, tags,
 * shares of emotives, the memory they count, copies, and no memory. */
#include "check.h"
#include "random.h"

#include "kato_fast/columns.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK KF_COLUMN_ROWS
#define ROWS (2 * BLOCK + 1000)
#define KINDS 3

typedef struct {
    uint64_t frequency[ROWS];
    uint32_t tag[ROWS];
    kf_emotives *emotives[ROWS]; /* borrowed from kinds */
    kf_emotives *kinds[KINDS];
} plain;

static plain *
new_plain(void)
{
    plain *p = calloc(1, sizeof *p);
    for (int i = 1; i < KINDS; i++) { /* 0 is none */
        kf_emotive items[2] = {{{"joy", 3}, i}, {{"fear", 4}, -i}};
        kf_emotive_map map = {items, (uint32_t)i};
        CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &p->kinds[i],
                              NULL) == KF_OK);
    }
    return p;
}

static void
free_plain(plain *p)
{
    for (int i = 1; i < KINDS; i++) {
        kf_emotives_release(p->kinds[i]);
    }
    free(p);
}

static void
check_rows(const kf_columns *columns, const plain *p, uint32_t rows)
{
    bool good = true;
    size_t emotives = 0;
    size_t memory = 0;
    for (uint32_t row = 0; row < rows && good; row++) {
        good = kf_columns_frequency(columns, row) == p->frequency[row] &&
               kf_columns_tag(columns, row) == p->tag[row] &&
               kf_columns_emotives(columns, row) == p->emotives[row];
        emotives += kf_emotives_memory(p->emotives[row]);
    }
    CHECK(good);
    for (size_t b = 0; b < columns->n_blocks; b++) {
        const kf_column *block = &columns->blocks[b];
        CHECK(block->frequency != NULL);
        memory += BLOCK * (block->width - 1);
        memory += block->emotives != NULL ? BLOCK * sizeof(void *) : 0;
    }
    CHECK(columns->memory == memory + emotives);
}

static void
set_row(kf_columns *columns, plain *p, uint32_t row, uint64_t frequency,
        int kind)
{
    kf_emotives *before = p->emotives[row];
    p->frequency[row] = frequency;
    p->emotives[row] = p->kinds[kind];
    CHECK(kf_columns_reserve_frequency(columns, row, frequency));
    if (kind != 0) {
        CHECK(kf_columns_reserve_emotives(columns, row));
    }
    kf_columns_set_frequency(columns, row, frequency);
    CHECK(kf_columns_swap_emotives(columns, row, p->kinds[kind]) == before);
    kf_emotives_release(before);
}

static void
append_row(kf_columns *columns, plain *p, uint32_t row, uint32_t tag)
{
    CHECK(kf_columns_reserve(columns, row));
    CHECK(columns->n_blocks == row / BLOCK + 1);
    p->tag[row] = tag;
    kf_columns_set_tag(columns, row, tag);
    set_row(columns, p, row, 0, 0);
}

/* Both sides of each width. */
static uint64_t
random_frequency(random_source *random)
{
    switch (random_below(random, 12)) {
    case 0:
        return (uint64_t)UINT8_MAX + random_below(random, 2);
    case 1:
        return (uint64_t)UINT16_MAX + random_below(random, 2);
    case 2:
        return (uint64_t)UINT32_MAX + random_below(random, 2);
    case 3:
        return random_next(random);
    default:
        return random_below(random, 3);
    }
}

static void
test_any_order_of_calls(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    plain *p = new_plain();
    kf_columns columns;
    kf_columns_init(&columns, &alloc);
    for (uint32_t row = 0; row < ROWS; row++) {
        append_row(&columns, p, row, (uint32_t)random_next(random));
        if (row == 2000 || row == BLOCK) {
            check_rows(&columns, p, row + 1);
        }
    }
    check_rows(&columns, p, ROWS);
    CHECK(columns.memory == 0);
    for (int step = 0; step < 3000; step++) {
        /* The first block stays as it is until the end. */
        uint32_t row = step < 2900 ? BLOCK + random_below(random, ROWS - BLOCK)
                                   : random_below(random, BLOCK);
        set_row(&columns, p, row, random_frequency(random),
                (int)random_below(random, KINDS));
        CHECK(step >= 2900 || columns.blocks[0].emotives == NULL);
        CHECK(step >= 2900 || columns.blocks[0].width == 1);
        if (step % 300 == 0) {
            check_rows(&columns, p, ROWS);
        }
    }
    check_rows(&columns, p, ROWS);
    kf_columns_free(&columns, ROWS);
    CHECK(columns.n_blocks == 0 && columns.memory == 0);
    CHECK(memory.live == 0);
    for (int i = 1; i < KINDS; i++) { /* no share is left */
        kf_emotives_share(p->kinds[i]);
        kf_emotives_release(p->kinds[i]);
    }
    free_plain(p);
}

/* --- copies --- */

static void
fill(kf_columns *columns, plain *p, uint32_t rows, random_source *random)
{
    for (uint32_t row = 0; row < rows; row++) {
        append_row(columns, p, row, (uint32_t)random_next(random));
    }
    set_row(columns, p, 5, 7, 1);
    set_row(columns, p, rows - 1, (uint64_t)1 << 40, 2);
}

/* A copy keeps its values and its shares, whatever becomes of the first. */
static void
check_copy(uint32_t rows, uint32_t copied, random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    plain *p = new_plain();
    plain *before = malloc(sizeof *before);
    kf_columns columns;
    kf_columns copy;
    bool good = true;
    kf_columns_init(&columns, &alloc);
    kf_columns_init(&copy, &alloc);
    fill(&columns, p, rows, random);
    *before = *p;
    CHECK(kf_columns_copy(&columns, copied, &copy));
    set_row(&columns, p, 5, 99, 0);
    set_row(&columns, p, rows - 1, 3, 0);
    kf_columns_free(&columns, rows);
    for (uint32_t row = 0; row < copied; row++) {
        good = good &&
               kf_columns_frequency(&copy, row) == before->frequency[row] &&
               kf_columns_tag(&copy, row) == before->tag[row] &&
               kf_columns_emotives(&copy, row) == before->emotives[row];
    }
    CHECK(good);
    kf_columns_free(&copy, copied);
    CHECK(memory.live == 0);
    free(before);
    free_plain(p);
}

static void
test_copies(random_source *random)
{
    check_copy(10, 10, random);
    check_copy(BLOCK, BLOCK, random);
    check_copy(BLOCK + 1, BLOCK + 1, random);
    check_copy(BLOCK + 77, BLOCK + 76, random);
    check_copy(BLOCK + 77, 6, random);
    check_copy(2 * BLOCK + 3, 2 * BLOCK, random);
    check_copy(100, 0, random);
}

/* --- no memory --- */

/* Each step may fail; what is there stays. */
static bool
grow_all(kf_columns *columns, plain *p, uint32_t *rows, random_source *random)
{
    for (; *rows < BLOCK + 2; ++*rows) {
        if (!kf_columns_reserve(columns, *rows)) {
            return false;
        }
        append_row(columns, p, *rows, (uint32_t)random_next(random));
        if (*rows % 1000 == 0) {
            set_row(columns, p, *rows, *rows / 1000, 0);
        }
    }
    for (unsigned bits = 9; bits <= 50; bits += 20) {
        if (!kf_columns_reserve_frequency(columns, 3, (uint64_t)1 << bits)) {
            return false;
        }
        set_row(columns, p, 3, (uint64_t)1 << bits, 0);
    }
    if (!kf_columns_reserve_emotives(columns, BLOCK)) {
        return false;
    }
    set_row(columns, p, BLOCK, 1, 2);
    return true;
}

static void
test_no_memory(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        plain *p = new_plain();
        uint32_t rows = 0;
        kf_columns columns;
        kf_columns copy;
        kf_columns_init(&columns, &alloc);
        kf_columns_init(&copy, &alloc);
        done = grow_all(&columns, p, &rows, random);
        check_rows(&columns, p, rows);
        if (done) {
            done = kf_columns_copy(&columns, rows, &copy);
            CHECK(done || (copy.n_blocks == 0 && copy.blocks == NULL));
        }
        failures += !done;
        check_rows(&columns, p, rows);
        kf_columns_free(&copy, done ? rows : 0);
        kf_columns_free(&columns, rows);
        free_plain(p);
    }
    /* 2 blocks and the list of them, three widths, emotives; then the copy */
    CHECK(failures >= 15);
}

int
main(void)
{
    random_source random = random_start();
    test_any_order_of_calls(&random);
    test_copies(&random);
    test_no_memory(&random);
    return check_report();
}
