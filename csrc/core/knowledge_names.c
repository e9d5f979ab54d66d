#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

/* As many as a tag of 32 bits can tell apart: then the table may be full but
 * for the rows that there cannot be. */
#define SLOTS_MAX ((uint64_t)1 << 32)

static size_t
home_slot(const kf_name_table *table, uint32_t tag)
{
    return (size_t)(((uint64_t)tag * table->n_slots) >> 32);
}

static inline size_t
next_slot(const kf_name_table *table, size_t slot)
{
    return slot + 1 == table->n_slots ? 0 : slot + 1;
}

static inline uint32_t
row_in(const kf_name_table *table, uint32_t slot)
{
    return slot & (uint32_t)(UINT32_MAX >> (32 - table->row_bits));
}

/* What the slot of that row holds. */
static inline uint32_t
slot_of(const kf_name_table *table, uint32_t tag, uint32_t row)
{
    return (uint32_t)((uint64_t)tag << table->row_bits) | row;
}

/* --- tables --- */

/* All rows have less than all bits set, which is a free slot. */
static unsigned
bits_for(uint64_t rows)
{
    unsigned bits = 1;
    while (bits < 32 && ((uint64_t)1 << bits) - 1 < rows) {
        bits++;
    }
    return bits;
}

bool
kf_names_make(const kf_alloc *alloc, size_t n_slots, uint32_t n_rows,
              kf_name_table *table)
{
    uint64_t slots = n_slots < KF_NAMES_FIRST ? KF_NAMES_FIRST : n_slots;
    table->n_slots = (size_t)(slots < SLOTS_MAX ? slots : SLOTS_MAX);
    table->row_bits = bits_for(n_rows);
    table->slots = kf_allocate(alloc, table->n_slots, sizeof *table->slots);
    if (table->slots == NULL) {
        return false;
    }
    memset(table->slots, 0xff, table->n_slots * sizeof *table->slots);
    return true;
}

static bool
has_room(const kf_contents *to)
{
    const kf_name_table *table = &to->names;
    return (table->n_slots >= SLOTS_MAX ||
            (to->n_patterns + (uint64_t)1) * 5 <=
                (uint64_t)table->n_slots * 4) &&
           (table->row_bits == 32 ||
            to->n_rows + (uint64_t)2 <= (uint64_t)1 << table->row_bits);
}

/* Other slots, and bits for as many rows as may come until they are too few.
 * The old slots are in the order of the new ones, but for those that were far
 * from home. */
static bool
resize(const kf_knowledge *knowledge, kf_contents *to, uint64_t n_slots)
{
    const kf_name_table *old = &to->names;
    uint64_t n_rows = to->n_rows + n_slots;
    kf_name_table resized;
    if (!kf_names_make(&knowledge->alloc, (size_t)n_slots,
                       n_rows < UINT32_MAX ? (uint32_t)n_rows : UINT32_MAX,
                       &resized)) {
        return false;
    }
    for (size_t slot = 0; slot < old->n_slots; slot++) {
        if (old->slots[slot] != KF_NO_ROW) {
            uint32_t row = row_in(old, old->slots[slot]);
            kf_names_add(&resized, kf_columns_tag(&to->columns, row), row);
        }
    }
    kf_release(&knowledge->alloc, to->names.slots);
    to->names = resized;
    return true;
}

bool
kf_names_reserve(const kf_knowledge *knowledge, kf_contents *to)
{
    uint64_t n_slots = to->names.n_slots;
    if (has_room(to)) {
        return true;
    }
    if ((to->n_patterns + (uint64_t)1) * 5 > n_slots * 4) {
        n_slots += n_slots / 4; /* it is memory that counts */
    }
    return resize(knowledge, to, n_slots);
}

bool
kf_names_want(const kf_contents *to, uint32_t count)
{
    uint64_t n_slots = to->names.n_slots;
    return n_slots < SLOTS_MAX &&
           (to->n_patterns + (uint64_t)count) * 5 > n_slots * 4;
}

void
kf_names_double(const kf_knowledge *knowledge, kf_contents *to)
{
    (void)resize(knowledge, to, to->names.n_slots * (uint64_t)2);
}

/* As few slots as growing by a quarter leaves, at the most. */
void
kf_names_fit(const kf_knowledge *knowledge, kf_contents *to)
{
    uint64_t least = to->n_patterns * (uint64_t)5 / 4 + KF_NAMES_FIRST;
    if (to->names.n_slots > least + least / 4) {
        (void)resize(knowledge, to, least + least / 16);
    }
}

/* --- names --- */

/* Whether the row, whose tag is equal, has that name. buffer: room to read
 * the pattern back. */
static bool
has_name(const kf_knowledge *knowledge, uint32_t row,
         const uint8_t name[KF_NAME_SIZE], kf_pattern *buffer)
{
    const kf_root *root = knowledge->now.root;
    if (root->blocks[row / KF_SEGMENT_ROWS].segment != NULL) {
        buffer->n = kf_root_read(root, row, buffer->ids, &buffer->n_events);
    }
    kf_root_name(root, knowledge->unicode, row, buffer);
    return memcmp(buffer->name, name, KF_NAME_SIZE) == 0;
}

size_t
kf_names_slot(const kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
              kf_pattern *buffer)
{
    const kf_name_table *table = &knowledge->now.names;
    uint32_t tag = kf_name_tag(knowledge, name);
    size_t slot = home_slot(table, tag);
    for (; table->slots[slot] != KF_NO_ROW; slot = next_slot(table, slot)) {
        uint32_t row = row_in(table, table->slots[slot]);
        if (table->slots[slot] == slot_of(table, tag, row) &&
            kf_columns_tag(&knowledge->now.columns, row) == tag &&
            has_name(knowledge, row, name, buffer)) {
            break;
        }
    }
    return slot;
}

uint32_t
kf_names_find(const kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
              kf_pattern *buffer)
{
    const kf_name_table *table = &knowledge->now.names;
    uint32_t slot = table->slots[kf_names_slot(knowledge, name, buffer)];
    return slot == KF_NO_ROW ? KF_NO_ROW : row_in(table, slot);
}

void
kf_names_prefetch(const kf_knowledge *knowledge,
                  const uint8_t name[KF_NAME_SIZE])
{
    const kf_name_table *table = &knowledge->now.names;
    __builtin_prefetch(
        &table->slots[home_slot(table, kf_name_tag(knowledge, name))]);
}

void
kf_names_add(kf_name_table *table, uint32_t tag, uint32_t row)
{
    size_t slot = home_slot(table, tag);
    while (table->slots[slot] != KF_NO_ROW) {
        slot = next_slot(table, slot);
    }
    table->slots[slot] = slot_of(table, tag, row);
}

/* Slots from one to the other. */
static inline size_t
distance(const kf_name_table *table, size_t from, size_t to)
{
    return to >= from ? to - from : to + table->n_slots - from;
}

/* Moves back what had to walk past the slot. */
void
kf_names_remove(kf_knowledge *knowledge, size_t slot)
{
    kf_name_table *table = &knowledge->now.names;
    size_t hole = slot;
    for (size_t next = next_slot(table, slot); table->slots[next] != KF_NO_ROW;
         next = next_slot(table, next)) {
        uint32_t row = row_in(table, table->slots[next]);
        size_t home =
            home_slot(table, kf_columns_tag(&knowledge->now.columns, row));
        if (distance(table, home, next) >= distance(table, hole, next)) {
            table->slots[hole] = table->slots[next];
            hole = next;
        }
    }
    table->slots[hole] = KF_NO_ROW;
}
