#include "kato_fast/emotives.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* One block of memory: the header, the maps, their items, the items of the
 * average, the bytes of the names. */
struct kf_emotives {
    kf_alloc alloc;
    atomic_size_t shares;
    size_t memory;
    uint32_t n_maps;
    kf_emotive_map average;
    kf_emotive_map maps[];
};

typedef struct {
    size_t items;
    size_t bytes;
} extent;

static extent
measure(const kf_emotive_map *maps, uint32_t n_maps)
{
    extent total = {0, 0};
    for (uint32_t i = 0; i < n_maps; i++) {
        total.items += maps[i].count;
        for (uint32_t j = 0; j < maps[i].count; j++) {
            total.bytes += maps[i].items[j].name.size;
        }
    }
    return total;
}

static kf_emotive *
find(kf_emotive *items, uint32_t count, kf_text name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].name.size == name.size &&
            memcmp(items[i].name.bytes, name.bytes, name.size) == 0) {
            return &items[i];
        }
    }
    return NULL;
}

/* Sums first, then divides by how many maps have the name. */
static uint32_t
average(const kf_emotives *emotives, kf_emotive *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < emotives->n_maps; i++) {
        const kf_emotive_map *map = &emotives->maps[i];
        for (uint32_t j = 0; j < map->count; j++) {
            kf_emotive *known = find(out, count, map->items[j].name);
            if (known == NULL) {
                known = &out[count++];
                known->name = map->items[j].name;
                known->value = 0.0;
            }
            known->value += map->items[j].value;
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        uint32_t have = 0;
        for (uint32_t i = 0; i < emotives->n_maps; i++) {
            const kf_emotive_map *map = &emotives->maps[i];
            have += find((kf_emotive *)map->items, map->count, out[k].name) !=
                    NULL;
        }
        out[k].value /= have;
    }
    return count;
}

static void
copy(kf_emotives *emotives, const kf_emotive_map *maps, extent total)
{
    kf_emotive *items = (kf_emotive *)&emotives->maps[emotives->n_maps];
    kf_emotive *averages = items + total.items;
    char *bytes = (char *)(averages + total.items);
    for (uint32_t i = 0; i < emotives->n_maps; i++) {
        emotives->maps[i].items = items;
        emotives->maps[i].count = maps[i].count;
        for (uint32_t j = 0; j < maps[i].count; j++) {
            kf_text name = maps[i].items[j].name;
            memcpy(bytes, name.bytes, name.size);
            items->name = (kf_text){bytes, name.size};
            items->value = maps[i].items[j].value;
            bytes += name.size;
            items++;
        }
    }
    emotives->average.items = averages;
    emotives->average.count = average(emotives, averages);
}

kf_status
kf_emotives_new(const kf_alloc *alloc, const kf_emotive_map *maps,
                uint32_t n_maps, kf_emotives **out, kf_error *err)
{
    extent total = measure(maps, n_maps);
    size_t size = sizeof(kf_emotives) + n_maps * sizeof *maps +
                  2 * total.items * sizeof(kf_emotive) + total.bytes;
    kf_emotives *emotives = kf_allocate(alloc, 1, size);
    if (emotives == NULL) {
        return kf_no_memory(err);
    }
    emotives->alloc = *alloc;
    atomic_init(&emotives->shares, 1);
    emotives->memory = size;
    emotives->n_maps = n_maps;
    copy(emotives, maps, total);
    *out = emotives;
    return KF_OK;
}

kf_emotives *
kf_emotives_share(kf_emotives *emotives)
{
    if (emotives != NULL) {
        atomic_fetch_add_explicit(&emotives->shares, 1, memory_order_relaxed);
    }
    return emotives;
}

void
kf_emotives_release(kf_emotives *emotives)
{
    if (emotives != NULL &&
        atomic_fetch_sub_explicit(&emotives->shares, 1,
                                  memory_order_acq_rel) == 1) {
        kf_alloc alloc = emotives->alloc;
        kf_release(&alloc, emotives);
    }
}

uint32_t
kf_emotives_count(const kf_emotives *emotives)
{
    return emotives->n_maps;
}

kf_emotive_map
kf_emotives_map(const kf_emotives *emotives, uint32_t index)
{
    return emotives->maps[index];
}

kf_emotive_map
kf_emotives_average(const kf_emotives *emotives)
{
    return emotives->average;
}

size_t
kf_emotives_memory(const kf_emotives *emotives)
{
    return emotives != NULL ? emotives->memory : 0;
}
