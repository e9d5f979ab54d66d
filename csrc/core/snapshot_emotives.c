#include "kato_fast/snapshot.h"

#include "snapshot_emotives.h"
#include "snapshot_format.h"

#include "kato_fast/utf8.h"

#include <math.h>
#include <string.h>

static size_t
padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

/* --- to bytes --- */

static void
write_map(kf_buffer *buffer, kf_emotive_map map)
{
    static const char zeros[8];
    kf_snapshot_map head = {map.count, 0};
    kf_buffer_append(buffer, &head, sizeof head);
    for (uint32_t i = 0; i < map.count; i++) {
        kf_text name = map.items[i].name;
        kf_snapshot_item item = {map.items[i].value, (uint32_t)name.size, 0};
        kf_buffer_append(buffer, &item, sizeof item);
        kf_buffer_append(buffer, name.bytes, name.size);
        kf_buffer_append(buffer, zeros, padded(name.size) - name.size);
    }
}

void
kf_snapshot_write_emotives(kf_buffer *buffer, const kf_column *block,
                           uint32_t rows)
{
    for (uint32_t at = 0; block->emotives != NULL && at < rows; at++) {
        const kf_emotives *emotives = block->emotives[at];
        if (emotives != NULL) {
            kf_snapshot_record record = {at, kf_emotives_count(emotives)};
            kf_buffer_append(buffer, &record, sizeof record);
            for (uint32_t m = 0; m < record.n_maps; m++) {
                write_map(buffer, kf_emotives_map(emotives, m));
            }
        }
    }
}

/* --- and back --- */

typedef struct {
    const kf_alloc *alloc;
    const char *bytes;
    size_t size;
    size_t at;
    kf_emotive_map *maps; /* owned; of one record */
    size_t maps_room;
    kf_emotive *items; /* owned; of one record */
    size_t items_room;
} reader;

static kf_status
damaged(const reader *r, kf_error *err)
{
    return kf_fail(err, KF_INVALID, "no record of emotives at byte %zu",
                   r->at);
}

/* The next `size` bytes, NULL where there are no more so many. */
static const void *
take(reader *r, size_t size)
{
    const void *taken = r->bytes + r->at;
    if (r->size - r->at < size) {
        return NULL;
    }
    r->at += size;
    return taken;
}

static kf_status
read_item(reader *r, size_t index, kf_error *err)
{
    const kf_snapshot_item *item = take(r, sizeof *item);
    const char *name = item != NULL ? take(r, padded(item->name_size)) : NULL;
    void *items = r->items;
    if (name == NULL || !isfinite(item->value) ||
        !kf_utf8_is_valid(name, item->name_size)) {
        return damaged(r, err);
    }
    if (!kf_grow(r->alloc, &items, &r->items_room, index + 1,
                 sizeof *r->items)) {
        return kf_no_memory(err);
    }
    r->items = items;
    r->items[index].name = (kf_text){name, item->name_size};
    r->items[index].value = item->value;
    return KF_OK;
}

/* Maps get their items when these have stopped moving. */
static kf_status
read_maps(reader *r, uint32_t n_maps, kf_error *err)
{
    size_t n_items = 0;
    void *maps = r->maps;
    if (n_maps > r->size / sizeof(kf_snapshot_map)) {
        return damaged(r, err);
    }
    if (!kf_grow(r->alloc, &maps, &r->maps_room, n_maps, sizeof *r->maps)) {
        return kf_no_memory(err);
    }
    r->maps = maps;
    for (uint32_t m = 0; m < n_maps; m++) {
        const kf_snapshot_map *map = take(r, sizeof *map);
        if (map == NULL) {
            return damaged(r, err);
        }
        r->maps[m].count = map->n_items;
        for (uint32_t i = 0; i < map->n_items; i++) {
            kf_status status = read_item(r, n_items++, err);
            if (status != KF_OK) {
                return status;
            }
        }
    }
    for (uint32_t m = 0, first = 0; m < n_maps; m++) {
        r->maps[m].items = n_items > 0 ? r->items + first : NULL;
        first += r->maps[m].count;
    }
    return KF_OK;
}

static kf_status
read_record(reader *r, kf_columns *columns, uint32_t first, uint32_t *next,
            uint32_t rows, kf_error *err)
{
    const kf_snapshot_record *record = take(r, sizeof *record);
    kf_emotives *emotives = NULL;
    kf_status status;
    if (record == NULL || record->at < *next || record->at >= rows) {
        return damaged(r, err);
    }
    *next = record->at + 1;
    status = read_maps(r, record->n_maps, err);
    if (status == KF_OK) {
        status =
            kf_emotives_new(r->alloc, r->maps, record->n_maps, &emotives, err);
    }
    if (status == KF_OK &&
        !kf_columns_reserve_emotives(columns, first + record->at)) {
        status = kf_no_memory(err);
    }
    if (status == KF_OK) {
        kf_columns_swap_emotives(columns, first + record->at, emotives);
    }
    kf_emotives_release(emotives);
    return status;
}

kf_status
kf_snapshot_read_emotives(const char *bytes, size_t size, kf_columns *columns,
                          uint32_t first, uint32_t rows, kf_error *err)
{
    reader r = {.alloc = columns->alloc, .bytes = bytes, .size = size};
    kf_status status = KF_OK;
    uint32_t next = 0;
    while (status == KF_OK && r.at < size) {
        status = read_record(&r, columns, first, &next, rows, err);
    }
    kf_release(r.alloc, r.maps);
    kf_release(r.alloc, r.items);
    return status;
}
