/* Saving: take a moment, write its sections one after the other, the header
 * last, then let the file take its name. */
#include "kato_fast/snapshot.h"

#include "snapshot_emotives.h"
#include "snapshot_format.h"

#include "kato_fast/checksum.h"
#include "kato_fast/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One call of write() may take no more. */
#define WRITE_MAX ((size_t)1 << 30)
#define NAME_TRIES 100

typedef struct {
    const kf_alloc *alloc;
    const kf_moment *moment;
    kf_snapshot_caller caller;
    int file;
    uint64_t end;                  /* where the next section starts */
    kf_snapshot_section *sections; /* owned */
    uint32_t n_sections;
    uint32_t written; /* sections so far */
} saver;

/* --- the file --- */

/* path's folder with a name in it that is most likely free. */
static char *
temporary_name(const kf_alloc *alloc, const char *path, unsigned attempt)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash + 1 - path) : 0;
    size_t size = (size_t)folder + 64;
    char *name = kf_allocate(alloc, size, 1);
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (name != NULL) {
        snprintf(name, size, "%.*s.kato-fast-%lx-%lx-%x.tmp", folder, path,
                 (unsigned long)getpid(), (unsigned long)now.tv_nsec, attempt);
    }
    return name;
}

/* What is no file must not be replaced by one. */
static kf_status
check_target(const char *path, kf_error *err)
{
    struct stat target;
    if (stat(path, &target) != 0 || S_ISREG(target.st_mode)) {
        return KF_OK; /* other reasons show when it is made */
    }
    if (S_ISDIR(target.st_mode)) {
        errno = EISDIR;
        return kf_system_error(err, "rename");
    }
    return kf_fail(err, KF_INVALID, "is no regular file");
}

static kf_status
create_file(const kf_alloc *alloc, const char *path, char **name, int *file,
            kf_error *err)
{
    for (unsigned attempt = 0;; attempt++) {
        *name = temporary_name(alloc, path, attempt);
        if (*name == NULL) {
            return kf_no_memory(err);
        }
        *file = open(*name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*file >= 0) {
            return KF_OK;
        }
        kf_release(alloc, *name);
        if (errno != EEXIST || attempt == NAME_TRIES) {
            return kf_system_error(err, "open");
        }
    }
}

static kf_status
write_at(const saver *s, const void *data, size_t size, uint64_t offset,
         kf_error *err)
{
    const char *next = data;
    while (size > 0) {
        size_t part = size < WRITE_MAX ? size : WRITE_MAX;
        ssize_t done = pwrite(s->file, next, part, (off_t)offset);
        if (done < 0 && errno != EINTR) {
            return kf_system_error(err, "write");
        }
        if (done > 0) {
            next += done;
            size -= (size_t)done;
            offset += (uint64_t)done;
        }
    }
    return KF_OK;
}

/* The new name lasts only when the folder is on disk, too. Where folders
 * cannot be synchronised that is up to the file system. */
static kf_status
sync_folder(const kf_alloc *alloc, const char *path, kf_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash != NULL ? (size_t)(slash + 1 - path) : 1;
    char *folder = kf_allocate(alloc, size + 1, 1);
    kf_status status = KF_OK;
    int file;
    if (folder == NULL) {
        return kf_no_memory(err);
    }
    memcpy(folder, slash != NULL ? path : ".", size);
    folder[size] = '\0';
    file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    kf_release(alloc, folder);
    if (file >= 0) {
        if (fsync(file) != 0 && errno == EIO) {
            status = kf_system_error(err, "fsync");
        }
        close(file);
    }
    return status;
}

/* --- sections --- */

/* The bytes up to the next section stay a hole, which reads as zeros. */
static kf_status
write_section(saver *s, const void *data, size_t size, kf_error *err)
{
    uint32_t number = s->written++;
    kf_snapshot_section *section = &s->sections[number];
    section->kind = kf_snapshot_kind(number);
    section->block = kf_snapshot_block(number);
    section->offset = s->end;
    section->size = size;
    section->checksum = kf_checksum(data, size);
    s->end += kf_snapshot_align(size);
    return write_at(s, data, size, section->offset, err);
}

static kf_status
write_symbols(saver *s, kf_error *err)
{
    kf_symbols_image image;
    kf_status status = kf_symbols_copy(s->moment->root->symbols,
                                       s->moment->n_symbols, &image, err);
    if (status != KF_OK) {
        return status;
    }
    status = write_section(s, image.entries,
                           image.count * sizeof *image.entries, err);
    if (status == KF_OK) {
        status = write_section(s, image.texts, image.texts_size, err);
    }
    if (status == KF_OK) {
        status = write_section(s, image.slots,
                               image.n_slots * sizeof *image.slots, err);
    }
    kf_symbols_image_free(s->alloc, &image);
    return status;
}

static kf_status
write_counters(saver *s, kf_error *err)
{
    const kf_counters *counters = &s->moment->counters;
    size_t size = s->moment->n_symbols * sizeof *counters->frequency;
    kf_status status = write_section(s, counters->frequency, size, err);
    if (status == KF_OK) {
        status = write_section(s, counters->members, size, err);
    }
    return status;
}

/* Rows of the open block that are not forgotten become a segment. */
static kf_status
seal_head(const saver *s, uint32_t block, kf_segment **out, kf_error *err)
{
    const kf_moment *moment = s->moment;
    const kf_head *head = moment->root->blocks[block].head;
    uint32_t first = block * KF_SEGMENT_ROWS;
    const kf_pattern **patterns =
        kf_allocate_zero(s->alloc, KF_SEGMENT_ROWS, sizeof *patterns);
    kf_status status;
    if (patterns == NULL) {
        return kf_no_memory(err);
    }
    for (uint32_t row = first; row < moment->n_rows; row++) {
        if (kf_columns_frequency(&moment->columns, row) != 0) {
            patterns[row - first] = head->patterns[row - first];
        }
    }
    status = kf_segment_build(s->alloc, patterns, out, err);
    kf_release(s->alloc, patterns);
    return status;
}

static kf_status
write_segment(saver *s, uint32_t block, kf_error *err)
{
    kf_segment *segment = s->moment->root->blocks[block].segment;
    kf_segment *sealed = NULL;
    kf_status status = KF_OK;
    if (segment == NULL) {
        status = seal_head(s, block, &sealed, err);
        segment = sealed;
    }
    if (status == KF_OK) {
        status = write_section(s, segment->header, segment->header->size, err);
    }
    kf_segment_release(sealed);
    return status;
}

static kf_status
write_emotives(saver *s, const kf_column *columns, uint32_t rows,
               kf_error *err)
{
    kf_buffer buffer;
    kf_status status;
    kf_buffer_init(&buffer, s->alloc);
    kf_snapshot_write_emotives(&buffer, columns, rows);
    status = buffer.failed ? kf_no_memory(err)
                           : write_section(s, buffer.data, buffer.size, err);
    kf_buffer_free(&buffer);
    return status;
}

static kf_status
write_block(saver *s, uint32_t block, kf_error *err)
{
    const kf_column *columns = &s->moment->columns.blocks[block];
    uint32_t rows = kf_columns_rows_of(s->moment->n_rows, block);
    kf_status status = write_segment(s, block, err);
    if (status == KF_OK) {
        status = write_section(s, columns->frequency,
                               (size_t)rows * columns->width, err);
    }
    if (status == KF_OK) {
        status =
            write_section(s, columns->tags, rows * sizeof *columns->tags, err);
    }
    return status == KF_OK ? write_emotives(s, columns, rows, err) : status;
}

static kf_status
write_sections(saver *s, kf_error *err)
{
    const kf_moment *moment = s->moment;
    kf_status status = write_symbols(s, err);
    if (status == KF_OK) {
        status = write_counters(s, err);
    }
    if (status == KF_OK) {
        status = write_section(s, moment->names,
                               moment->n_names * sizeof *moment->names, err);
    }
    for (uint32_t block = 0;
         status == KF_OK && block < kf_snapshot_blocks(moment->n_rows);
         block++) {
        if (s->caller.stop != NULL && s->caller.stop(s->caller.context)) {
            return kf_fail(err, KF_STOPPED, "stopped while saving");
        }
        status = write_block(s, block, err);
    }
    return status;
}

/* --- header --- */

static void
fill_header(const saver *s, kf_snapshot_header *header)
{
    const kf_moment *moment = s->moment;
    memset(header, 0, sizeof *header);
    memcpy(header->magic, KF_SNAPSHOT_MAGIC, sizeof header->magic);
    header->order = KF_SNAPSHOT_ORDER;
    header->version = KF_SNAPSHOT_VERSION;
    header->size = s->end;
    header->n_sections = s->n_sections;
    header->flags = (moment->indexed ? KF_SNAPSHOT_INDEXED : 0) |
                    (moment->generation == KF_KATO_2_1 ? KF_SNAPSHOT_2_1 : 0);
    /* Newer ones have the names of the newest that the table knows. */
    header->unicode = moment->unicode < KF_UNICODE_NEWEST ? moment->unicode
                                                          : KF_UNICODE_NEWEST;
    header->row_bits = moment->row_bits;
    header->n_rows = moment->n_rows;
    header->n_patterns = moment->n_patterns;
    header->n_symbols = moment->n_symbols;
    header->n_used = moment->counters.n_symbols;
    header->total_patterns = moment->counters.totals.patterns;
    header->total_symbols = moment->counters.totals.symbols;
    header->total_symbols_in_patterns =
        moment->counters.totals.symbols_in_patterns;
    memcpy(header->key, moment->key, sizeof header->key);
}

static kf_status
write_header(const saver *s, kf_error *err)
{
    size_t size = (size_t)kf_snapshot_first(s->n_sections);
    char *bytes = kf_allocate_zero(s->alloc, 1, size);
    kf_snapshot_header header;
    size_t start = offsetof(kf_snapshot_header, order);
    kf_status status;
    if (bytes == NULL) {
        return kf_no_memory(err);
    }
    fill_header(s, &header);
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, s->sections,
           s->n_sections * sizeof *s->sections);
    header.checksum = kf_checksum(bytes + start, size - start);
    memcpy(bytes, &header, sizeof header);
    status = write_at(s, bytes, size, 0, err);
    kf_release(s->alloc, bytes);
    return status;
}

/* --- all of it --- */

static kf_status
write_file(saver *s, kf_error *err)
{
    kf_status status = write_sections(s, err);
    if (status == KF_OK) {
        status = write_header(s, err);
    }
    /* The last section may end with a hole. */
    if (status == KF_OK &&
        (ftruncate(s->file, (off_t)s->end) != 0 || fsync(s->file) != 0)) {
        status = kf_system_error(err, "fsync");
    }
    if (close(s->file) != 0 && status == KF_OK) {
        status = kf_system_error(err, "close");
    }
    return status;
}

/* With memory for the table. */
static kf_status
save_moment(saver *s, const char *path, kf_error *err)
{
    char *name;
    kf_status status = check_target(path, err);
    if (status == KF_OK) {
        status = create_file(s->alloc, path, &name, &s->file, err);
    }
    if (status != KF_OK) {
        return status;
    }
    status = write_file(s, err);
    if (status == KF_OK && rename(name, path) != 0) {
        status = kf_system_error(err, "rename");
    }
    if (status != KF_OK) {
        unlink(name);
    }
    kf_release(s->alloc, name);
    return status == KF_OK ? sync_folder(s->alloc, path, err) : status;
}

kf_status
kf_snapshot_save(kf_knowledge *knowledge, const char *path,
                 kf_snapshot_caller caller, kf_error *err)
{
    kf_moment moment;
    saver s = {.moment = &moment, .caller = caller};
    kf_status status = kf_moment_take(knowledge, &moment, err);
    if (status != KF_OK) {
        return status;
    }
    s.alloc = &moment.alloc;
    s.n_sections = KF_SECTIONS_SHARED +
                   KF_SECTIONS_OF_BLOCK * kf_snapshot_blocks(moment.n_rows);
    s.end = kf_snapshot_first(s.n_sections);
    s.sections = kf_allocate_zero(s.alloc, s.n_sections, sizeof *s.sections);
    status =
        s.sections != NULL ? save_moment(&s, path, err) : kf_no_memory(err);
    kf_release(s.alloc, s.sections);
    kf_moment_free(&moment);
    return status;
}
