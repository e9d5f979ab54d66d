/* Snapshots: the same answers before and after, every flipped byte and every
 * cut found, and no crash for files whose checksums are right but whose
 * contents are not. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/checksum.h"
#include "kato_fast/prediction.h"
#include "kato_fast/snapshot.h"

#include "../../csrc/core/snapshot_format.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static random_source source;
static char folder[200];
static char path[256];

static const kf_snapshot_caller nobody = {NULL, NULL};

/* --- contents --- */

enum {
    PLAIN = 0,
    EMOTIVES = 1,
    FORGOTTEN = 2,
    WIDE = 4
};

static kf_knowledge *
new_knowledge(const kf_alloc *alloc)
{
    kf_knowledge_options options = {.unicode = 150, .threads = 1};
    kf_knowledge *knowledge = NULL;
    memcpy(options.key, sequence_key, sizeof options.key);
    CHECK(kf_knowledge_new(alloc, &options, &knowledge, NULL) == KF_OK);
    return knowledge;
}

static kf_emotives *
some_emotives(const kf_alloc *alloc, uint32_t number)
{
    kf_emotive items[3] = {{{"joy", 3}, 1.5 * number},
                           {{"\xc3\xa9tat", 5}, -0.25},
                           {{"a long name of it", 17}, 1e300}};
    kf_emotive_map maps[2] = {{items, number % 4}, {items + 1, 1}};
    kf_emotives *emotives = NULL;
    CHECK(kf_emotives_new(alloc, maps, 1 + number % 2, &emotives, NULL) ==
          KF_OK);
    return emotives;
}

static void
learn(kf_knowledge *knowledge, uint32_t number, unsigned kind)
{
    sequence text;
    kf_sequence sequence;
    kf_emotives *emotives = NULL;
    uint8_t name[KF_NAME_SIZE];
    uint64_t frequency = 1 + number % 5;
    bool found = false;
    sequence_numbered(&text, number);
    if ((kind & EMOTIVES) != 0 && number % 3 == 0) {
        emotives = some_emotives(kf_knowledge_alloc(knowledge), number);
    }
    if ((kind & WIDE) != 0 && number == 7) {
        frequency = (uint64_t)1 << 40;
    }
    sequence = (kf_sequence){text.symbols, text.n, text.ends, text.n_events,
                             emotives};
    CHECK(kf_knowledge_put(knowledge, &sequence, frequency, name, NULL) ==
          KF_OK);
    if ((kind & FORGOTTEN) != 0 && number % 4 == 1) {
        CHECK(kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK);
        CHECK(found);
    }
    kf_emotives_release(emotives);
}

static kf_knowledge *
make_knowledge(const kf_alloc *alloc, uint32_t count, unsigned kind)
{
    kf_knowledge *knowledge = new_knowledge(alloc);
    for (uint32_t number = 0; number < count; number++) {
        learn(knowledge, number, kind);
    }
    return knowledge;
}

static void
save(kf_knowledge *knowledge)
{
    kf_error err = {.message = ""};
    if (!CHECK(kf_snapshot_save(knowledge, path, nobody, &err) == KF_OK)) {
        fprintf(stderr, "  %s\n", err.message);
    }
}

static kf_knowledge *
open_it(const kf_alloc *alloc, unsigned threads)
{
    kf_knowledge *knowledge = NULL;
    kf_error err = {.message = ""};
    if (!CHECK(kf_snapshot_open(alloc, path, threads, &knowledge, &err) ==
               KF_OK)) {
        fprintf(stderr, "  %s\n", err.message);
    }
    return knowledge;
}

/* --- the same contents --- */

static void
compare_emotives(const kf_emotives *a, const kf_emotives *b)
{
    CHECK((a == NULL) == (b == NULL));
    if (a == NULL || b == NULL) {
        return;
    }
    CHECK(kf_emotives_count(a) == kf_emotives_count(b));
    for (uint32_t m = 0; m < kf_emotives_count(a); m++) {
        kf_emotive_map x = kf_emotives_map(a, m);
        kf_emotive_map y = kf_emotives_map(b, m);
        CHECK(x.count == y.count);
        for (uint32_t i = 0; i < x.count; i++) {
            CHECK(x.items[i].value == y.items[i].value);
            CHECK(x.items[i].name.size == y.items[i].name.size);
            CHECK(memcmp(x.items[i].name.bytes, y.items[i].name.bytes,
                         x.items[i].name.size) == 0);
        }
    }
}

static void
compare_rows(kf_knowledge *a, kf_knowledge *b)
{
    kf_knowledge_view x = kf_knowledge_look(a);
    kf_knowledge_view y = kf_knowledge_look(b);
    CHECK(x.n_rows == y.n_rows && x.longest == y.longest);
    for (uint32_t row = 0; row < x.n_rows; row++) {
        uint32_t ids[2][64];
        uint32_t n_events[2];
        uint32_t n;
        CHECK(kf_knowledge_frequency(a, row) ==
              kf_knowledge_frequency(b, row));
        if (kf_knowledge_frequency(a, row) == 0) {
            continue;
        }
        n = kf_root_read(x.root, row, ids[0], &n_events[0]);
        CHECK(kf_root_read(y.root, row, ids[1], &n_events[1]) == n);
        CHECK(n_events[0] == n_events[1]);
        CHECK(memcmp(ids[0], ids[1], (n + n_events[0]) * 4) == 0);
        compare_emotives(kf_knowledge_emotives(a, row),
                         kf_knowledge_emotives(b, row));
    }
}

static void
compare_symbols(kf_knowledge *a, kf_knowledge *b)
{
    kf_knowledge_view x = kf_knowledge_look(a);
    kf_knowledge_view y = kf_knowledge_look(b);
    uint32_t count = kf_symbols_count(x.root->symbols);
    CHECK(kf_symbols_count(y.root->symbols) == count);
    for (uint32_t id = 0; id < count; id++) {
        kf_text text = kf_symbols_text(x.root->symbols, id);
        kf_text json = kf_symbols_json(y.root->symbols, id);
        CHECK(kf_symbols_find(y.root->symbols, text) == id);
        CHECK(json.size == kf_symbols_json(x.root->symbols, id).size);
        CHECK(x.counters->frequency[id] == y.counters->frequency[id]);
        CHECK(x.counters->members[id] == y.counters->members[id]);
    }
    CHECK(kf_symbols_find(y.root->symbols, (kf_text){"none", 4}) ==
          KF_SYMBOL_NONE);
    CHECK(memcmp(&x.counters->totals, &y.counters->totals,
                 sizeof(kf_totals)) == 0);
    CHECK(x.counters->n_symbols == y.counters->n_symbols);
}

static void
check_names(kf_knowledge *knowledge, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t number = 0; number < count; number++) {
        sequence text;
        kf_sequence sequence;
        uint8_t name[KF_NAME_SIZE];
        uint32_t row = 0;
        sequence_numbered(&text, number);
        sequence = (kf_sequence){text.symbols, text.n, text.ends,
                                 text.n_events, NULL};
        kf_knowledge_name(knowledge, &sequence, name);
        CHECK(kf_knowledge_find(knowledge, name, &row, NULL) == KF_OK);
        found += row != KF_NO_ROW;
    }
    CHECK(found == kf_knowledge_count(knowledge));
}

static void
check_refusals(kf_knowledge *knowledge)
{
    kf_text symbols[2] = {{"a", 1}, {"b", 1}};
    uint32_t end = 2;
    kf_sequence sequence = {symbols, 2, &end, 1, NULL};
    uint8_t name[KF_NAME_SIZE] = {0};
    kf_learned learned;
    bool found;
    kf_error err;
    CHECK(kf_knowledge_learn(knowledge, &sequence, 1, &learned, &err) ==
          KF_INVALID);
    CHECK(strstr(err.message, "read-only snapshot") != NULL);
    CHECK(kf_knowledge_put(knowledge, &sequence, 1, name, &err) == KF_INVALID);
    CHECK(kf_knowledge_forget(knowledge, name, &found, &err) == KF_INVALID);
    CHECK(kf_knowledge_clear(knowledge, &err) == KF_INVALID);
}

static char *
read_file(size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes;
    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    bytes = malloc(*size);
    rewind(file);
    CHECK(fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

/* What was opened saves to the same bytes. */
static void
check_saved_again(kf_knowledge *opened)
{
    size_t sizes[2];
    char *first = read_file(&sizes[0]);
    char *second;
    save(opened);
    second = read_file(&sizes[1]);
    CHECK(sizes[0] == sizes[1] && memcmp(first, second, sizes[0]) == 0);
    free(first);
    free(second);
}

static void
test_round_trip(uint32_t count, unsigned kind, unsigned threads)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *knowledge = make_knowledge(&alloc, count, kind);
    kf_knowledge *opened;
    save(knowledge);
    opened = open_it(&alloc, threads);
    compare_rows(knowledge, opened);
    compare_symbols(knowledge, opened);
    if (count < 5000) {
        check_names(opened, count);
    }
    CHECK(kf_knowledge_count(knowledge) == kf_knowledge_count(opened));
    check_refusals(opened);
    check_saved_again(opened);
    kf_knowledge_free(knowledge);
    kf_knowledge_free(opened);
    CHECK(memory.live == 0);
}

/* --- asking --- */

/* As many calls as there are ways in; what they say does not matter here. */
static void
ask_everything(kf_knowledge *knowledge)
{
    static const double thresholds[] = {0.0, 0.3};
    sequence text;
    sequence_numbered(&text, random_below(&source, 40));
    for (int i = 0; i < 2; i++) {
        kf_predictions *predictions = NULL;
        if (kf_predict(knowledge,
                       &(kf_asked){.texts = text.symbols, .m = text.n},
                       thresholds[i], 5, &predictions, NULL) == KF_OK) {
            kf_predictions_free(predictions);
        }
    }
    for (uint32_t row = 0; row < kf_knowledge_look(knowledge).n_rows; row++) {
        kf_root *root = kf_knowledge_look(knowledge).root;
        uint32_t longest = kf_knowledge_look(knowledge).longest;
        kf_pattern *pattern = malloc(kf_pattern_size(longest, longest));
        pattern->n = kf_root_read(root, row, pattern->ids, &pattern->n_events);
        kf_root_name(root, 150, row, pattern);
        free(pattern);
    }
    check_refusals(knowledge);
}

/* A result outlives the knowledge base and keeps the file mapped. */
static void
test_results_stay(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *knowledge = make_knowledge(&alloc, 50, PLAIN);
    kf_match_list list;
    sequence text;
    uint8_t names[50][KF_NAME_SIZE];
    sequence_numbered(&text, 3);
    save(knowledge);
    kf_knowledge_free(knowledge);
    knowledge = open_it(&alloc, 1);
    CHECK(kf_match_all(knowledge, text.symbols, text.n, 0.1, &list, NULL) ==
          KF_OK);
    kf_knowledge_free(knowledge);
    CHECK(unlink(path) == 0);
    CHECK(list.count > 0 && list.count <= 50);
    CHECK(kf_match_list_names(&list, names, NULL) == KF_OK);
    kf_match_list_free(&list);
    CHECK(memory.live == 0);
}

/* --- damage --- */

static void
check_refused(const char *what, size_t at)
{
    kf_knowledge *knowledge = NULL;
    kf_error err = {.message = ""};
    kf_status status =
        kf_snapshot_open(&kf_alloc_default, path, 1, &knowledge, &err);
    if (!CHECK(status == KF_INVALID && err.message[0] != '\0' &&
               knowledge == NULL)) {
        fprintf(stderr, "  %s at %zu\n", what, at);
    }
    if (status == KF_OK) {
        kf_knowledge_free(knowledge);
    }
}

static void
test_flips(uint32_t count, unsigned kind, size_t stride)
{
    kf_knowledge *knowledge = make_knowledge(&kf_alloc_default, count, kind);
    struct stat stat;
    int file;
    save(knowledge);
    kf_knowledge_free(knowledge);
    file = open(path, O_RDWR);
    CHECK(file >= 0 && fstat(file, &stat) == 0);
    for (size_t at = 0; at < (size_t)stat.st_size; at += stride) {
        uint8_t byte = 0;
        uint8_t flipped;
        CHECK(pread(file, &byte, 1, (off_t)at) == 1);
        flipped = byte ^ (uint8_t)(1u << random_below(&source, 8));
        CHECK(pwrite(file, &flipped, 1, (off_t)at) == 1);
        check_refused("flip", at);
        CHECK(pwrite(file, &byte, 1, (off_t)at) == 1);
    }
    close(file);
    kf_knowledge_free(open_it(&kf_alloc_default, 1));
}

static void
test_cuts(void)
{
    kf_knowledge *knowledge = make_knowledge(&kf_alloc_default, 20, EMOTIVES);
    struct stat stat_of;
    kf_knowledge *none = NULL;
    save(knowledge);
    kf_knowledge_free(knowledge);
    CHECK(stat(path, &stat_of) == 0);
    CHECK(truncate(path, stat_of.st_size + 1) == 0);
    check_refused("longer", (size_t)stat_of.st_size + 1);
    for (off_t size = stat_of.st_size - 1; size >= 0; size--) {
        CHECK(truncate(path, size) == 0);
        check_refused("cut", (size_t)size);
    }
    CHECK(unlink(path) == 0);
    CHECK(kf_snapshot_open(&kf_alloc_default, path, 1, &none, NULL) ==
          KF_SYSTEM);
}

/* --- right checksums, wrong contents --- */

static void
sign(char *bytes)
{
    kf_snapshot_header *header = (kf_snapshot_header *)bytes;
    kf_snapshot_section *sections = (kf_snapshot_section *)(header + 1);
    size_t start = offsetof(kf_snapshot_header, order);
    for (uint32_t i = 0; i < header->n_sections; i++) {
        sections[i].checksum =
            kf_checksum(bytes + sections[i].offset,
                        (size_t)kf_snapshot_align(sections[i].size));
    }
    header->checksum = kf_checksum(
        bytes + start, (size_t)kf_snapshot_first(header->n_sections) - start);
}

static void
write_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

/* Somewhere in a section, mostly a small change of a small number. */
static void
change(char *bytes, const kf_snapshot_section *sections, uint32_t n_sections)
{
    const kf_snapshot_section *section =
        &sections[random_below(&source, n_sections)];
    if (section->size > 0) {
        uint64_t at =
            section->offset + random_below(&source, (uint32_t)section->size);
        if (section->kind == KF_SECTION_SEGMENT &&
            random_below(&source, 2) == 0) { /* its header and first arrays */
            uint32_t size =
                section->size < 12000 ? (uint32_t)section->size : 12000;
            at = section->offset + random_below(&source, size);
        }
        bytes[at] = random_below(&source, 2) == 0
                        ? (char)(bytes[at] + 1)
                        : (char)random_below(&source, 256);
    }
}

static void
test_forged(uint32_t count, unsigned kind, uint32_t tries)
{
    kf_knowledge *knowledge = make_knowledge(&kf_alloc_default, count, kind);
    kf_snapshot_section sections[10];
    uint32_t opened = 0;
    size_t size;
    char *good;
    char *bytes;
    save(knowledge);
    kf_knowledge_free(knowledge);
    good = read_file(&size);
    memcpy(sections, good + sizeof(kf_snapshot_header), sizeof sections);
    bytes = malloc(size);
    for (uint32_t i = 0; i < tries; i++) {
        kf_error err = {.message = ""};
        memcpy(bytes, good, size);
        change(bytes, sections, 10);
        if (random_below(&source, 8) == 0) { /* the header itself */
            size_t at = 16 + random_below(&source, 64);
            bytes[at] = (char)random_below(&source, 256);
        }
        if (memcmp(bytes + 32, good + 32, 4) == 0) { /* n_sections */
            sign(bytes);
        }
        write_file(bytes, size);
        if (kf_snapshot_open(&kf_alloc_default, path, 1, &knowledge, &err) ==
            KF_OK) {
            ask_everything(knowledge);
            kf_knowledge_free(knowledge);
            opened++;
        }
        else {
            CHECK(err.message[0] != '\0');
        }
    }
    CHECK(opened > 0 && opened < tries);
    free(good);
    free(bytes);
}

/* What a header says must be refused by its own words. */
static void
forge_header(size_t at, uint32_t value, const char *says)
{
    kf_knowledge *knowledge = make_knowledge(&kf_alloc_default, 20, PLAIN);
    kf_error err = {.message = ""};
    size_t size;
    char *bytes;
    save(knowledge);
    kf_knowledge_free(knowledge);
    bytes = read_file(&size);
    memcpy(bytes + at, &value, sizeof value);
    if (at != offsetof(kf_snapshot_header, n_sections)) {
        sign(bytes);
    }
    write_file(bytes, size);
    CHECK(kf_snapshot_open(&kf_alloc_default, path, 1, &knowledge, &err) ==
          KF_INVALID);
    if (!CHECK(strstr(err.message, says) != NULL)) {
        fprintf(stderr, "  %s\n", err.message);
    }
    free(bytes);
}

static void
test_headers(void)
{
    forge_header(0, 0x12345678, "is no snapshot");
    forge_header(offsetof(kf_snapshot_header, order), 0x04030201,
                 "other byte order");
    forge_header(offsetof(kf_snapshot_header, order), 7, "unknown order");
    forge_header(offsetof(kf_snapshot_header, version), 3, "newer than 2");
    forge_header(offsetof(kf_snapshot_header, version), 1,
                 "save it again from the store");
    forge_header(offsetof(kf_snapshot_header, n_sections), 1u << 31,
                 "too few for a table");
    forge_header(offsetof(kf_snapshot_header, flags), 4, "unknown flags");
    forge_header(offsetof(kf_snapshot_header, unicode), 170, "Unicode 17.0");
    forge_header(offsetof(kf_snapshot_header, row_bits), 33, "contradict");
    forge_header(offsetof(kf_snapshot_header, n_rows), 1u << 20, "contradict");
    forge_header(offsetof(kf_snapshot_header, n_patterns), 19,
                 "every pattern");
    forge_header(offsetof(kf_snapshot_header, total_symbols), 3, "totals");
    forge_header(offsetof(kf_snapshot_header, total_patterns), 3, "totals");
}

/* --- what may go wrong outside --- */

static unsigned
files_in_folder(void)
{
    DIR *all = opendir(folder);
    unsigned count = 0;
    CHECK(all != NULL);
    while (readdir(all) != NULL) {
        count++;
    }
    closedir(all);
    return count - 2; /* . and .. */
}

static bool
stop_at_second(void *context)
{
    return ++*(int *)context == 2;
}

static void
test_stopped(void)
{
    kf_knowledge *small = make_knowledge(&kf_alloc_default, 20, PLAIN);
    kf_knowledge *large = make_knowledge(&kf_alloc_default, 70000, PLAIN);
    int asked = 0;
    kf_snapshot_caller caller = {stop_at_second, &asked};
    kf_knowledge *opened;
    save(small);
    CHECK(kf_snapshot_save(large, path, caller, NULL) == KF_STOPPED);
    CHECK(files_in_folder() == 1);
    opened = open_it(&kf_alloc_default, 1);
    compare_rows(small, opened);
    kf_knowledge_free(opened);
    kf_knowledge_free(small);
    kf_knowledge_free(large);
}

static void
test_places(void)
{
    kf_knowledge *knowledge = make_knowledge(&kf_alloc_default, 20, PLAIN);
    kf_knowledge *none = NULL;
    char other[300];
    kf_error err;
    CHECK(kf_snapshot_save(knowledge, folder, nobody, &err) == KF_SYSTEM);
    snprintf(other, sizeof other, "%s/none/file", folder);
    CHECK(kf_snapshot_save(knowledge, other, nobody, &err) == KF_SYSTEM);
    CHECK(kf_snapshot_open(&kf_alloc_default, folder, 1, &none, &err) ==
          KF_SYSTEM);
    snprintf(other, sizeof other, "%s/pipe", folder);
    CHECK(mkfifo(other, 0600) == 0);
    CHECK(kf_snapshot_open(&kf_alloc_default, other, 1, &none, &err) ==
          KF_INVALID);
    CHECK(kf_snapshot_save(knowledge, other, nobody, &err) == KF_INVALID);
    CHECK(unlink(other) == 0);
    kf_knowledge_free(knowledge);
}

static void
test_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *opened = NULL;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = memory.fail_at;
        kf_knowledge *knowledge;
        memory.fail_at = 0;
        knowledge = make_knowledge(&alloc, 30, EMOTIVES | FORGOTTEN);
        check_memory_arm(&memory, nth);
        done = kf_snapshot_save(knowledge, path, nobody, NULL) == KF_OK;
        memory.fail_at = 0;
        CHECK(files_in_folder() <= 1);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK_EACH_FAILURE (memory, done) {
        done = kf_snapshot_open(&alloc, path, 1, &opened, NULL) == KF_OK;
        if (done) {
            kf_knowledge_free(opened);
        }
    }
}

int
main(void)
{
    const char *temporary = getenv("TMPDIR");
    source = random_start();
    snprintf(folder, sizeof folder, "%s/kf-snapshot-XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file", folder);
    for (unsigned kind = 0; kind < 8; kind++) {
        test_round_trip(0, kind, 1);
        test_round_trip(1, kind, 1);
        test_round_trip(500, kind, 2);
    }
    test_round_trip(65536, WIDE, 2);
    test_round_trip(140000, EMOTIVES | FORGOTTEN | WIDE, 3);
    test_results_stay();
    test_headers();
    test_flips(30, EMOTIVES | FORGOTTEN | WIDE, 1);
    test_flips(0, PLAIN, 1);
    test_flips(300, EMOTIVES, 11);
    test_flips(66000, PLAIN, 10007);
    test_cuts();
    test_forged(60, EMOTIVES | FORGOTTEN, 2500);
    test_places();
    test_stopped();
    test_memory();
    unlink(path);
    CHECK(files_in_folder() == 0);
    rmdir(folder);
    return check_report();
}
