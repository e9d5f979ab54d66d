/* Roots: patterns by row in open, pieced and sealed blocks; who keeps what
 * alive; names; and no memory. */
#include "blocks.h"
#include "check.h"

#include "kato_fast/naming.h"

#include <pthread.h>
#include <string.h>

/* The name as the contract has it, from the texts of the symbols. */
static void
plain_name(const kf_symbols *symbols, const kf_pattern *pattern,
           unsigned unicode, uint8_t name[KF_NAME_SIZE])
{
    kf_naming naming;
    kf_naming_start(&naming, unicode);
    for (uint32_t event = 0; event < pattern->n_events; event++) {
        kf_naming_event(&naming);
        for (uint32_t i = kf_pattern_start(pattern, event);
             i < kf_pattern_ends(pattern)[event]; i++) {
            kf_text text = kf_symbols_text(symbols, pattern->ids[i]);
            kf_naming_symbol(&naming, text.bytes, text.size);
        }
    }
    kf_naming_finish(&naming, name);
}

/* Names into the patterns themselves, where an open block has them. */
static void
name_all(const block *of, const kf_symbols *symbols)
{
    for (uint32_t row = 0; row < of->head->count; row++) {
        kf_pattern *pattern = (kf_pattern *)of->head->patterns[row];
        plain_name(symbols, pattern, 150, pattern->name);
    }
}

static bool
same_row(const kf_root *root, uint32_t row, const kf_pattern *expected)
{
    static _Thread_local union {
        kf_pattern pattern;
        uint32_t words[sizeof(kf_pattern) / 4 + 2 * LONGEST];
    } room;
    kf_pattern *pattern = &room.pattern;
    if (kf_root_length(root, row) != expected->n) {
        return false;
    }
    memset(&room, 0xee, sizeof room);
    pattern->n = kf_root_read(root, row, pattern->ids, &pattern->n_events);
    kf_root_name(root, 150, row, pattern);
    return memcmp(pattern, expected,
                  kf_pattern_size(expected->n, expected->n_events)) == 0;
}

static void
check_block_of(const kf_root *root, size_t number, const block *of)
{
    bool good = true;
    bool sealed = root->blocks[number].segment != NULL;
    for (uint32_t at = 0; at < of->head->count; at++) {
        uint32_t row = (uint32_t)number * KF_SEGMENT_ROWS + at;
        good = good && ((sealed && of->forgotten[at]) ||
                        same_row(root, row, of->head->patterns[at]));
    }
    CHECK(good);
}

static void
test_rows(random_source *random)
{
    static const uint32_t vocabularies[] = {0, 20, 900};
    block *blocks[3];
    kf_symbols *symbols = number_symbols(1000 + 3000 * LONGEST);
    for (int b = 0; b < 3; b++) {
        blocks[b] = random_block(random, 3000, vocabularies[b]);
        name_all(blocks[b], symbols);
    }
    for (int last = 0; last < FORMS; last++) {
        kf_block_of_rows rows[3] = {rows_of(blocks[0], SEALED),
                                    rows_of(blocks[1], SEALED),
                                    rows_of(blocks[2], last)};
        kf_root *root = new_root(symbols, rows, 3);
        CHECK(root->n_blocks == 3 && root->symbols == symbols);
        for (size_t b = 0; b < 3; b++) {
            check_block_of(root, b, blocks[b]);
        }
        kf_root_release(root);
    }
    for (int b = 0; b < 3; b++) {
        free_block(blocks[b]);
    }
    kf_symbols_release(symbols);
}

/* Whoever made the parts may let them go; what the head gets later is seen
 * through the root. */
static void
test_shares(random_source *random)
{
    block *of = random_block(random, 200, 20);
    kf_symbols *symbols = number_symbols(100);
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_head *head;
    kf_block_of_rows rows[2];
    kf_root *root;
    uint32_t ids[] = {1, 2, 3};
    uint32_t ends[] = {1, 3};
    name_all(of, symbols);
    CHECK(kf_head_new(&alloc, &head, NULL) == KF_OK);
    rows[0] = rows_of(of, SEALED);
    rows[1] = (kf_block_of_rows){NULL, head};
    CHECK(kf_root_new(&alloc, symbols, rows, 2, &root, NULL) == KF_OK);
    CHECK(kf_root_share(root) == root);
    kf_root_release(root);
    kf_head_release(head);
    kf_symbols_release(symbols);
    kf_segment_release(of->segment);
    check_block_of(root, 0, of);
    add_pattern(head, ids, 3, ends, 2);
    plain_name(root->symbols, head->patterns[0], 150,
               ((kf_pattern *)head->patterns[0])->name);
    CHECK(same_row(root, KF_SEGMENT_ROWS, head->patterns[0]));
    kf_root_release(root);
    kf_root_release(NULL);
    kf_head_release(NULL);
    CHECK(memory.live == 0);
    of->segment = NULL;
    free_block(of);
}

/* A name that a head keeps is given as it is; one of a segment is made for
 * the Unicode version asked for. */
static void
test_names_of_versions(void)
{
    static const char new_letter[] = "\xf0\x9f\xab\xa0"; /* U+1FAE0, of 14.0 */
    kf_symbols *symbols;
    block *of = calloc(1, sizeof *of);
    uint32_t ids[2];
    uint32_t ends[] = {2};
    kf_block_of_rows rows;
    kf_root *root;
    union {
        kf_pattern pattern;
        char room[sizeof(kf_pattern) + 4 * sizeof(uint32_t)];
    } made;
    uint8_t names[2][KF_NAME_SIZE];
    CHECK(kf_symbols_new(&kf_alloc_default, sequence_key, &symbols, NULL) ==
          KF_OK);
    CHECK(kf_symbols_intern(symbols, (kf_text){new_letter, 4}, &ids[0],
                            NULL) == KF_OK);
    CHECK(kf_symbols_intern(symbols, (kf_text){"a", 1}, &ids[1], NULL) ==
          KF_OK);
    CHECK(kf_head_new(&kf_alloc_default, &of->head, NULL) == KF_OK);
    add_pattern(of->head, ids, 2, ends, 1);
    seal(of, NULL, 0);
    rows = rows_of(of, SEALED);
    root = new_root(symbols, &rows, 1);
    made.pattern.n =
        kf_root_read(root, 0, made.pattern.ids, &made.pattern.n_events);
    for (int i = 0; i < 2; i++) {
        uint8_t expected[KF_NAME_SIZE];
        plain_name(symbols, &made.pattern, i == 0 ? 130 : 140, expected);
        kf_root_name(root, i == 0 ? 130 : 140, 0, &made.pattern);
        CHECK(memcmp(made.pattern.name, expected, KF_NAME_SIZE) == 0);
        memcpy(names[i], expected, KF_NAME_SIZE);
    }
    CHECK(memcmp(names[0], names[1], KF_NAME_SIZE) != 0);
    kf_root_release(root);
    kf_symbols_release(symbols);
    free_block(of);
}

/* --- pieces --- */

/* The head of rows that the writer adds while others read those they were
 * told of. */
typedef struct {
    kf_root *root;
    const block *of;
    atomic_uint told;
} growing;

static void *
read_told(void *argument)
{
    growing *all = argument;
    uint32_t seen = 0;
    while (seen < all->of->head->count) {
        uint32_t told = atomic_load(&all->told);
        const kf_head *head = all->root->blocks[0].head;
        unsigned pieces = head->n_pieces;
        bool good = pieces * KF_HEAD_PIECE <= all->of->head->count;
        for (unsigned i = 0; i < pieces && good; i++) {
            good = head->pieces[i]->header->n_patterns == KF_HEAD_PIECE;
        }
        for (uint32_t row = seen; row < told && good; row += 7) {
            good = same_row(all->root, row, all->of->head->patterns[row]);
        }
        CHECK(good);
        seen = told;
    }
    return NULL;
}

static void
test_a_head_grows(random_source *random)
{
    block *of = random_block(random, 3 * KF_HEAD_PIECE + 5, 50);
    kf_symbols *symbols = number_symbols(100);
    kf_head *head;
    kf_block_of_rows rows;
    growing all = {.of = of};
    pthread_t readers[2];
    name_all(of, symbols);
    CHECK(kf_head_new(&kf_alloc_default, &head, NULL) == KF_OK);
    rows = (kf_block_of_rows){NULL, head};
    all.root = new_root(symbols, &rows, 1);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_told, &all) == 0);
    }
    while (head->count < of->head->count) {
        head->patterns[head->count] = of->head->patterns[head->count];
        head->count++;
        atomic_store(&all.told, head->count);
        kf_head_make_pieces(head);
        CHECK(head->n_pieces == head->count / KF_HEAD_PIECE);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    kf_root_release(all.root);
    kf_head_release(head);
    kf_symbols_release(symbols);
    free_block(of);
}

/* --- no memory --- */

static void
test_no_memory(random_source *random)
{
    block *of = random_block(random, KF_HEAD_PIECE, 20);
    kf_symbols *symbols = number_symbols(100);
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    int without_piece = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_head *head = NULL;
        kf_root *root = NULL;
        kf_error err;
        done = kf_head_new(&alloc, &head, &err) == KF_OK;
        if (done) {
            kf_block_of_rows rows[2] = {rows_of(of, SEALED), {NULL, head}};
            done = kf_root_new(&alloc, symbols, rows, 2, &root, &err) == KF_OK;
        }
        CHECK(done || (err.code == KF_NO_MEMORY && root == NULL));
        failures += !done;
        if (done) { /* pieces: fewer, and made at the next time */
            memcpy(head->patterns, of->head->patterns,
                   KF_HEAD_PIECE * sizeof *head->patterns);
            head->count = KF_HEAD_PIECE;
            kf_head_make_pieces(head);
            done = head->n_pieces == 1;
            without_piece += !done;
            check_memory_pause(&memory);
            kf_head_make_pieces(head);
            CHECK(head->n_pieces == 1);
        }
        kf_root_release(root);
        kf_head_release(head);
    }
    CHECK(failures == 4 && without_piece > 5);
    kf_symbols_release(symbols);
    free_block(of);
}

int
main(void)
{
    random_source random = random_start();
    test_rows(&random);
    test_shares(&random);
    test_names_of_versions();
    test_a_head_grows(&random);
    test_no_memory(&random);
    return check_report();
}
