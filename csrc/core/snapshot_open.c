/* Opening: map the file, check all of it, and point into it. */
#include "kato_fast/snapshot.h"

#include "snapshot_emotives.h"
#include "snapshot_format.h"

#include "kato_fast/checksum.h"
#include "kato_fast/moment.h"
#include "kato_fast/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes from which checking is worth other threads: 1 ms and more. */
#define SHARED_BYTES ((size_t)16 << 20)
#define NAMES_CHUNK ((size_t)1 << 16)

/* The mapped file, shared by all that point into it. */
typedef struct {
    kf_alloc alloc;
    atomic_size_t shares;
    void *base;
    size_t size;
} mapping;

/* What is known of one block of rows once it is checked. */
typedef struct {
    kf_segment *segment;
    uint64_t patterns; /* rows that are not forgotten */
    uint64_t learns;   /* their frequencies */
    uint32_t longest;
} checked_block;

typedef struct {
    const kf_alloc *alloc;
    mapping *map;
    const kf_snapshot_header *header;
    const kf_snapshot_section *sections;
    uint32_t n_blocks;
    checked_block *blocks; /* owned */
    kf_error *errors;      /* owned; by piece, code KF_OK where it is good */
    kf_symbols *symbols;   /* owned */
    kf_moment moment;      /* what it will be */
} opener;

/* --- mapping --- */

static void
release_mapping(void *context)
{
    mapping *map = context;
    if (atomic_fetch_sub_explicit(&map->shares, 1, memory_order_acq_rel) ==
        1) {
        kf_alloc alloc = map->alloc;
        munmap(map->base, map->size);
        kf_release(&alloc, map);
    }
}

static mapping *
share_mapping(mapping *map)
{
    atomic_fetch_add_explicit(&map->shares, 1, memory_order_relaxed);
    return map;
}

static kf_status
map_file(int file, mapping *map, kf_error *err)
{
    struct stat stat;
    if (fstat(file, &stat) != 0) {
        return kf_system_error(err, "fstat");
    }
    if (S_ISDIR(stat.st_mode)) {
        errno = EISDIR;
        return kf_system_error(err, "open");
    }
    if (!S_ISREG(stat.st_mode)) {
        return kf_fail(err, KF_INVALID, "is no regular file");
    }
    if ((uint64_t)stat.st_size < sizeof(kf_snapshot_header)) {
        return kf_fail(err, KF_INVALID,
                       "%lld bytes are too few for a snapshot's header",
                       (long long)stat.st_size);
    }
    if ((uint64_t)stat.st_size > SIZE_MAX) {
        return kf_fail(err, KF_INVALID, "is too large for this machine");
    }
    map->size = (size_t)stat.st_size;
    map->base = mmap(NULL, map->size, PROT_READ, MAP_SHARED, file, 0);
    return map->base == MAP_FAILED ? kf_system_error(err, "mmap") : KF_OK;
}

static kf_status
open_mapping(const kf_alloc *alloc, const char *path, mapping **out,
             kf_error *err)
{
    mapping *map = kf_allocate_zero(alloc, 1, sizeof *map);
    kf_status status;
    int file;
    if (map == NULL) {
        return kf_no_memory(err);
    }
    map->alloc = *alloc;
    atomic_init(&map->shares, 1);
    /* A pipe must not wait for its other end. */
    file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    status =
        file < 0 ? kf_system_error(err, "open") : map_file(file, map, err);
    if (file >= 0) {
        close(file);
    }
    if (status != KF_OK) {
        kf_release(alloc, map);
        return status;
    }
    *out = map;
    return KF_OK;
}

/* --- header and table --- */

#define REFUSE(err, ...) (kf_fail(err, KF_INVALID, __VA_ARGS__))

/* Whose file it is; a number in the wrong order of bytes is no version. */
static kf_status
check_origin(const kf_snapshot_header *h, kf_error *err)
{
    if (memcmp(h->magic, KF_SNAPSHOT_MAGIC, sizeof h->magic) != 0) {
        return REFUSE(err, "is no snapshot: it begins with other bytes");
    }
    if (h->order == __builtin_bswap32(KF_SNAPSHOT_ORDER)) {
        return REFUSE(err, "was saved on a machine of the other byte order");
    }
    if (h->order == KF_SNAPSHOT_ORDER && h->version > KF_SNAPSHOT_VERSION) {
        return REFUSE(err, "has version %u of the format, newer than %u",
                      h->version, KF_SNAPSHOT_VERSION);
    }
    if (h->order == KF_SNAPSHOT_ORDER && h->version < KF_SNAPSHOT_VERSION) {
        return REFUSE(err,
                      "has version %u of the format, older than %u: save it "
                      "again from the store that it was made of",
                      h->version, KF_SNAPSHOT_VERSION);
    }
    return KF_OK;
}

static kf_status
check_sizes(const opener *o, kf_error *err)
{
    const kf_snapshot_header *h = o->header;
    size_t start = offsetof(kf_snapshot_header, order);
    uint64_t first = kf_snapshot_first(h->n_sections);
    if (first > o->map->size) {
        return REFUSE(err, "%zu bytes are too few for a table of %u sections",
                      o->map->size, h->n_sections);
    }
    if (kf_checksum((const char *)h + start, (size_t)first - start) !=
        h->checksum) {
        return REFUSE(err, "the header (bytes 0 to %llu) is damaged",
                      (unsigned long long)first - 1);
    }
    if (h->size != o->map->size) {
        return REFUSE(err, "has %zu bytes, says it has %llu", o->map->size,
                      (unsigned long long)h->size);
    }
    return KF_OK;
}

/* The checksum was right: it says what its writer meant. */
static kf_status
check_counts(const opener *o, kf_error *err)
{
    const kf_snapshot_header *h = o->header;
    if (h->order != KF_SNAPSHOT_ORDER) {
        return REFUSE(err, "has an unknown order of bytes");
    }
    if (h->unicode > KF_UNICODE_NEWEST) {
        return REFUSE(err, "its names need Unicode %u.%u, newer than %u.%u",
                      h->unicode / 10, h->unicode % 10, KF_UNICODE_NEWEST / 10,
                      KF_UNICODE_NEWEST % 10);
    }
    if ((h->flags & ~(KF_SNAPSHOT_INDEXED | KF_SNAPSHOT_2_1)) != 0) {
        return REFUSE(err, "has unknown flags %#x", h->flags);
    }
    if (h->n_rows > UINT32_MAX - KF_SEGMENT_ROWS ||
        h->n_patterns > h->n_rows || h->n_used > h->n_symbols ||
        h->row_bits < 1 || h->row_bits > 32 ||
        h->n_sections !=
            KF_SECTIONS_SHARED +
                KF_SECTIONS_OF_BLOCK * kf_snapshot_blocks(h->n_rows)) {
        return REFUSE(err, "the counts of the header contradict each other");
    }
    return KF_OK;
}

static const char *
section_name(kf_section_kind kind)
{
    static const char *const names[] = {
        "symbols", "texts",   "slots",       "frequency", "members",
        "names",   "segment", "frequencies", "tags",      "emotives",
    };
    return names[kind];
}

/* Say where, then what, which may be NULL for a checksum. */
static kf_status
refuse_section(const opener *o, uint32_t number, const char *what,
               kf_error *err)
{
    const kf_snapshot_section *section = &o->sections[number];
    char place[96];
    if (number < KF_SECTIONS_SHARED) {
        snprintf(place, sizeof place, "section '%s' at byte %llu",
                 section_name(kf_snapshot_kind(number)),
                 (unsigned long long)section->offset);
    }
    else {
        snprintf(place, sizeof place, "section '%s' of block %u at byte %llu",
                 section_name(kf_snapshot_kind(number)),
                 kf_snapshot_block(number),
                 (unsigned long long)section->offset);
    }
    return what == NULL
               ? REFUSE(err, "%s is damaged: its checksum does not agree",
                        place)
               : REFUSE(err, "%s: %s", place, what);
}

/* Sections follow each other without a gap, up to the end. */
static kf_status
check_table(const opener *o, kf_error *err)
{
    uint64_t end = kf_snapshot_first(o->header->n_sections);
    for (uint32_t i = 0; i < o->header->n_sections; i++) {
        const kf_snapshot_section *section = &o->sections[i];
        if (section->kind != (uint32_t)kf_snapshot_kind(i) ||
            section->block != kf_snapshot_block(i) || section->offset != end ||
            section->size > o->map->size - end ||
            kf_snapshot_align(section->size) > o->map->size - end) {
            return refuse_section(o, i, "is not behind the one before it",
                                  err);
        }
        end += kf_snapshot_align(section->size);
    }
    return end == o->map->size
               ? KF_OK
               : REFUSE(err, "has more behind its last section");
}

static kf_status
check_header(opener *o, kf_error *err)
{
    o->header = o->map->base;
    o->sections = (const kf_snapshot_section *)(o->header + 1);
    if (check_origin(o->header, err) != KF_OK ||
        check_sizes(o, err) != KF_OK || check_counts(o, err) != KF_OK) {
        return KF_INVALID;
    }
    o->n_blocks = kf_snapshot_blocks(o->header->n_rows);
    return check_table(o, err);
}

/* --- sections --- */

static const void *
bytes_of(const opener *o, uint32_t number)
{
    return (const char *)o->map->base + o->sections[number].offset;
}

static kf_status
check_sum(const opener *o, uint32_t number, kf_error *err)
{
    const kf_snapshot_section *section = &o->sections[number];
    return kf_checksum(bytes_of(o, number),
                       (size_t)kf_snapshot_align(section->size)) ==
                   section->checksum
               ? KF_OK
               : refuse_section(o, number, NULL, err);
}

static kf_status
check_size(const opener *o, uint32_t number, uint64_t count, uint64_t size,
           kf_error *err)
{
    return o->sections[number].size == count * size
               ? KF_OK
               : refuse_section(o, number, "has another size than its counts",
                                err);
}

/* Its parts all tell sums that must agree, so that a table of another
 * knowledge base is not taken for this one's. */
static kf_status
check_counters(const opener *o, kf_error *err)
{
    const kf_snapshot_header *h = o->header;
    const uint64_t *frequency = bytes_of(o, KF_SECTION_FREQUENCY);
    const uint64_t *members = bytes_of(o, KF_SECTION_MEMBERS);
    uint64_t occurrences = 0;
    uint64_t learns = 0;
    uint32_t used = 0;
    for (uint32_t id = 0; id < h->n_symbols; id++) {
        occurrences += frequency[id];
        learns += members[id];
        used += members[id] > 0;
    }
    if (occurrences != h->total_symbols || occurrences > KF_COUNTER_MAX ||
        learns != h->total_symbols_in_patterns || used != h->n_used) {
        return refuse_section(o, KF_SECTION_MEMBERS,
                              "does not add up to the totals", err);
    }
    return KF_OK;
}

/* Slots in use, or SIZE_MAX where one of them has a row that is not there.
 * Without a branch, so that the compiler can take many at a time. */
static size_t
count_names(const uint32_t *rows, size_t slots, unsigned row_bits,
            uint32_t n_rows)
{
    const uint32_t row_mask = UINT32_MAX >> (32 - row_bits);
    size_t used = 0;
    uint32_t wrong = 0;
    for (size_t start = 0; start < slots; start += NAMES_CHUNK) {
        size_t end = start + NAMES_CHUNK < slots ? start + NAMES_CHUNK : slots;
        uint32_t here = 0; /* of 32 bits, as what is counted */
        for (size_t slot = start; slot < end; slot++) {
            uint32_t is_used = rows[slot] != KF_NO_ROW;
            here += is_used;
            wrong |= is_used & ((rows[slot] & row_mask) >= n_rows);
        }
        used += here;
    }
    return wrong != 0 ? SIZE_MAX : used;
}

/* A free slot ends every search. */
static kf_status
check_names(const opener *o, kf_error *err)
{
    const kf_snapshot_header *h = o->header;
    size_t slots =
        (size_t)o->sections[KF_SECTION_NAMES].size / sizeof(uint32_t);
    size_t used = count_names(bytes_of(o, KF_SECTION_NAMES), slots,
                              h->row_bits, h->n_rows);
    if (used != h->n_patterns || used >= slots) {
        return refuse_section(o, KF_SECTION_NAMES,
                              "does not name every pattern once", err);
    }
    return KF_OK;
}

static kf_status
check_shared(const opener *o, uint32_t number, kf_error *err)
{
    const kf_snapshot_header *h = o->header;
    kf_status status = check_sum(o, number, err);
    if (status != KF_OK) {
        return status;
    }
    switch (number) {
    case KF_SECTION_SYMBOLS:
        return check_size(o, number, h->n_symbols, sizeof(kf_symbol_entry),
                          err);
    case KF_SECTION_FREQUENCY:
        return check_size(o, number, h->n_symbols, sizeof(uint64_t), err);
    case KF_SECTION_MEMBERS:
        return check_size(o, number, h->n_symbols, sizeof(uint64_t), err);
    case KF_SECTION_NAMES:
        status =
            check_size(o, number, o->sections[number].size / sizeof(uint32_t),
                       sizeof(uint32_t), err);
        return status == KF_OK ? check_names(o, err) : status;
    default: /* kf_symbols_open looks at them */
        return KF_OK;
    }
}

/* --- blocks --- */

/* Rows and symbols that the rest of the file has. */
static kf_status
check_numbers(const opener *o, const kf_segment *segment, uint32_t number,
              uint32_t rows, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t symbol = 0; symbol < h->n_symbols; symbol++) {
        if (kf_segment_global(segment, symbol) >= o->header->n_symbols) {
            return refuse_section(o, number, "has an unknown symbol", err);
        }
    }
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        if (segment->order[local] >= rows) {
            return refuse_section(o, number, "has more than its rows", err);
        }
    }
    return KF_OK;
}

/* Bytes of a frequency in the section, 0 where that is no number of them. */
static inline uint32_t
width_of(const opener *o, uint32_t number, uint32_t rows)
{
    uint64_t size = o->sections[number].size;
    for (uint32_t width = 1; width <= 8; width *= 2) {
        if (size == (uint64_t)rows * width) {
            return width;
        }
    }
    return 0;
}

static inline uint64_t
frequency_at(const opener *o, uint32_t number, uint32_t rows, uint32_t at)
{
    return kf_column_frequency(bytes_of(o, number), width_of(o, number, rows),
                               at);
}

static inline bool
has_row(const kf_segment *segment, uint32_t at)
{
    return kf_segment_local(segment, at) != KF_SEGMENT_ROWS;
}

/* Every row that has a frequency has a pattern; which all have where there
 * are as many patterns as rows. */
static bool
has_rows(const opener *o, const kf_segment *segment, uint32_t number,
         uint32_t rows)
{
    if (segment->header->n_patterns == rows) {
        return true;
    }
    for (uint32_t at = 0; at < rows; at++) {
        if (frequency_at(o, number, rows, at) != 0 && !has_row(segment, at)) {
            return false;
        }
    }
    return true;
}

static kf_status
check_frequencies(const opener *o, checked_block *block, uint32_t number,
                  uint32_t rows, kf_error *err)
{
    uint32_t width = width_of(o, number, rows);
    if (width == 0) {
        return refuse_section(o, number, "has another size than its counts",
                              err);
    }
    if (!has_rows(o, block->segment, number, rows)) {
        return refuse_section(o, number, "counts a pattern that is not", err);
    }
    for (uint32_t at = 0; at < rows; at++) {
        uint64_t frequency =
            kf_column_frequency(bytes_of(o, number), width, at);
        block->patterns += frequency != 0;
        block->learns += frequency;
    }
    return KF_OK;
}

static kf_status
open_segment(const opener *o, uint32_t number, checked_block *block,
             kf_error *err)
{
    kf_error why;
    kf_status status = kf_segment_open(
        o->alloc, bytes_of(o, number), (size_t)o->sections[number].size,
        release_mapping, o->map, &block->segment, &why);
    if (status == KF_INVALID) {
        return refuse_section(o, number, why.message, err);
    }
    if (status != KF_OK) {
        return kf_no_memory(err);
    }
    share_mapping(o->map);
    if (block->segment->header->n_runs > 0) {
        const kf_run *last =
            block->segment->runs + block->segment->header->n_runs - 1;
        block->longest = last->n;
    }
    return KF_OK;
}

static kf_status
check_block(const opener *o, uint32_t number, kf_error *err)
{
    checked_block *block = &o->blocks[number];
    uint32_t first = kf_snapshot_section_of(number, KF_SECTION_SEGMENT);
    uint32_t rows = kf_columns_rows_of(o->header->n_rows, number);
    kf_status status = KF_OK;
    for (uint32_t i = 0; i < KF_SECTIONS_OF_BLOCK && status == KF_OK; i++) {
        status = check_sum(o, first + i, err);
    }
    if (status == KF_OK) {
        status = open_segment(o, first, block, err);
    }
    if (status == KF_OK) {
        status = check_numbers(o, block->segment, first, rows, err);
    }
    if (status == KF_OK) {
        status = check_frequencies(
            o, block, kf_snapshot_section_of(number, KF_SECTION_FREQUENCIES),
            rows, err);
    }
    if (status == KF_OK) {
        status = check_size(o, kf_snapshot_section_of(number, KF_SECTION_TAGS),
                            rows, sizeof(uint32_t), err);
    }
    return status;
}

static void
check_piece(void *context, size_t piece, unsigned worker)
{
    opener *o = context;
    kf_error *err = &o->errors[piece];
    (void)worker;
    err->code =
        piece < KF_SECTIONS_SHARED
            ? check_shared(o, (uint32_t)piece, err)
            : check_block(o, (uint32_t)piece - KF_SECTIONS_SHARED, err);
}

/* All sections, on all threads; of several faults the first in the file. */
static kf_status
check_sections(opener *o, unsigned threads, kf_error *err)
{
    size_t pieces = KF_SECTIONS_SHARED + (size_t)o->n_blocks;
    kf_workers *workers = NULL;
    kf_status status = kf_workers_new(
        o->alloc, o->map->size < SHARED_BYTES ? 1 : threads, &workers, err);
    if (status != KF_OK) {
        return status;
    }
    o->blocks = kf_allocate_zero(o->alloc, o->n_blocks, sizeof *o->blocks);
    o->errors = kf_allocate_zero(o->alloc, pieces, sizeof *o->errors);
    if (o->blocks == NULL || o->errors == NULL) {
        kf_workers_free(workers);
        return kf_no_memory(err);
    }
    kf_workers_run(workers, pieces, check_piece, o);
    kf_workers_free(workers);
    for (size_t piece = 0; piece < pieces; piece++) {
        if (o->errors[piece].code != KF_OK) {
            if (err != NULL) {
                *err = o->errors[piece];
            }
            return o->errors[piece].code;
        }
    }
    return check_counters(o, err);
}

/* --- making a moment of it --- */

static kf_status
open_symbols(opener *o, kf_error *err)
{
    kf_symbols_image image = {
        .entries = bytes_of(o, KF_SECTION_SYMBOLS),
        .count = o->header->n_symbols,
        .slots = bytes_of(o, KF_SECTION_SLOTS),
        .n_slots = (size_t)o->sections[KF_SECTION_SLOTS].size /
                   sizeof(kf_symbol_slot),
        .texts = bytes_of(o, KF_SECTION_TEXTS),
        .texts_size = (size_t)o->sections[KF_SECTION_TEXTS].size,
    };
    kf_error why;
    kf_status status =
        kf_symbols_open(o->alloc, o->header->key, &image, release_mapping,
                        o->map, &o->symbols, &why);
    if (status == KF_INVALID) {
        return refuse_section(o, KF_SECTION_SYMBOLS, why.message, err);
    }
    if (status != KF_OK) {
        return kf_no_memory(err);
    }
    share_mapping(o->map);
    return KF_OK;
}

/* The segments, and an empty head that stays empty. */
static kf_status
make_root(opener *o, kf_error *err)
{
    kf_block_of_rows *blocks =
        kf_allocate(o->alloc, o->n_blocks + 1, sizeof *blocks);
    kf_head *head = NULL;
    kf_status status =
        blocks != NULL ? kf_head_new(o->alloc, &head, err) : KF_NO_MEMORY;
    if (status == KF_OK) {
        for (uint32_t b = 0; b < o->n_blocks; b++) {
            blocks[b] = (kf_block_of_rows){o->blocks[b].segment, NULL};
        }
        blocks[o->n_blocks] = (kf_block_of_rows){NULL, head};
        status = kf_root_new(o->alloc, o->symbols, blocks,
                             (size_t)o->n_blocks + 1, &o->moment.root, err);
    }
    kf_head_release(head);
    kf_release(o->alloc, blocks);
    return status == KF_OK ? KF_OK : kf_no_memory(err);
}

static kf_status
read_emotives(opener *o, uint32_t block, uint32_t rows, kf_error *err)
{
    uint32_t number = kf_snapshot_section_of(block, KF_SECTION_EMOTIVES);
    kf_error why;
    kf_status status = kf_snapshot_read_emotives(
        bytes_of(o, number), (size_t)o->sections[number].size,
        &o->moment.columns, block * KF_SEGMENT_ROWS, rows, &why);
    if (status == KF_INVALID) {
        return refuse_section(o, number, why.message, err);
    }
    return status == KF_OK ? KF_OK : kf_no_memory(err);
}

static kf_status
map_columns(opener *o, kf_error *err)
{
    kf_columns *columns = &o->moment.columns;
    kf_status status = KF_OK;
    columns->borrowed = true;
    if (!kf_columns_reserve_blocks(columns, o->n_blocks)) {
        return kf_no_memory(err);
    }
    for (uint32_t b = 0; b < o->n_blocks && status == KF_OK; b++) {
        uint32_t number = kf_snapshot_section_of(b, KF_SECTION_FREQUENCIES);
        uint32_t rows = kf_columns_rows_of(o->header->n_rows, b);
        kf_column *block = &columns->blocks[b];
        block->frequency = (void *)bytes_of(o, number); /* only read */
        block->width = width_of(o, number, rows);
        block->tags =
            (void *)bytes_of(o, kf_snapshot_section_of(b, KF_SECTION_TAGS));
        status = read_emotives(o, b, rows, err);
    }
    return status;
}

/* What the blocks say together must be what the header says. */
static kf_status
sum_blocks(opener *o, kf_error *err)
{
    uint64_t patterns = 0;
    uint64_t learns = 0;
    for (uint32_t b = 0; b < o->n_blocks; b++) {
        const checked_block *block = &o->blocks[b];
        patterns += block->patterns;
        learns += block->learns;
        if (block->longest > o->moment.longest) {
            o->moment.longest = block->longest;
        }
    }
    if (patterns != o->header->n_patterns ||
        learns != o->header->total_patterns) {
        return REFUSE(err, "its patterns do not add up to the totals");
    }
    return KF_OK;
}

static void
fill_moment(opener *o)
{
    const kf_snapshot_header *h = o->header;
    kf_moment *moment = &o->moment;
    kf_counters *counters = &moment->counters;
    moment->alloc = *o->alloc;
    memcpy(moment->key, h->key, sizeof moment->key);
    moment->indexed = (h->flags & KF_SNAPSHOT_INDEXED) != 0;
    moment->generation =
        (h->flags & KF_SNAPSHOT_2_1) != 0 ? KF_KATO_2_1 : KF_KATO_2025_09;
    moment->mapped = true;
    moment->unicode = h->unicode;
    moment->n_rows = h->n_rows;
    moment->n_patterns = h->n_patterns;
    moment->n_symbols = h->n_symbols;
    moment->names = (void *)bytes_of(o, KF_SECTION_NAMES);
    moment->n_names =
        (size_t)o->sections[KF_SECTION_NAMES].size / sizeof *moment->names;
    moment->row_bits = h->row_bits;
    kf_columns_init(&moment->columns, &moment->alloc);
    kf_counters_init(counters, &moment->alloc);
    counters->frequency = (void *)bytes_of(o, KF_SECTION_FREQUENCY);
    counters->members = (void *)bytes_of(o, KF_SECTION_MEMBERS);
    counters->capacity = h->n_symbols;
    counters->n_symbols = h->n_used;
    counters->totals = (kf_totals){h->total_patterns, h->total_symbols,
                                   h->total_symbols_in_patterns};
}

static kf_status
open_contents(opener *o, unsigned threads, kf_knowledge **out, kf_error *err)
{
    kf_status status = sum_blocks(o, err);
    if (status == KF_OK) {
        status = open_symbols(o, err);
    }
    if (status == KF_OK) {
        status = map_columns(o, err);
    }
    if (status == KF_OK) {
        status = make_root(o, err);
    }
    if (status == KF_OK) {
        status = kf_moment_open(&o->moment, threads, out, err);
    }
    return status;
}

static kf_status
open_mapped(opener *o, unsigned threads, kf_knowledge **out, kf_error *err)
{
    kf_status status = check_header(o, err);
    if (status == KF_OK) {
        status = check_sections(o, threads, err);
    }
    if (status == KF_OK) {
        fill_moment(o);
        status = open_contents(o, threads, out, err);
        if (status != KF_OK) {
            kf_moment_free(&o->moment);
        }
    }
    for (uint32_t b = 0; o->blocks != NULL && b < o->n_blocks; b++) {
        kf_segment_release(o->blocks[b].segment);
    }
    kf_symbols_release(o->symbols);
    kf_release(o->alloc, o->blocks);
    kf_release(o->alloc, o->errors);
    return status;
}

kf_status
kf_snapshot_open(const kf_alloc *alloc, const char *path, unsigned threads,
                 kf_knowledge **out, kf_error *err)
{
    opener o = {.alloc = alloc};
    kf_status status = open_mapping(alloc, path, &o.map, err);
    if (status != KF_OK) {
        return status;
    }
    status = open_mapped(&o, threads, out, err);
    release_mapping(o.map);
    return status;
}
