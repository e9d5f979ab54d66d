#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

static size_t
home_slot(const kf_knowledge *knowledge, const kf_name_table *table,
          uint64_t prefix)
{
    return (size_t)((prefix * knowledge->secret) >> table->shift);
}

bool
kf_names_make(const kf_alloc *alloc, unsigned bits, kf_name_table *table)
{
    size_t slots = (size_t)1 << bits;
    table->rows = kf_allocate(alloc, slots, sizeof *table->rows);
    table->shift = 64 - bits;
    if (table->rows == NULL) {
        return false;
    }
    memset(table->rows, 0xff, slots * sizeof *table->rows);
    return true;
}

/* Whether the row, whose prefix is equal, has that name. buffer: room to read
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
    size_t mask = kf_names_slots(table) - 1;
    uint64_t prefix = kf_name_prefix(name);
    size_t slot = home_slot(knowledge, table, prefix);
    for (; table->rows[slot] != KF_NO_ROW; slot = (slot + 1) & mask) {
        uint32_t row = table->rows[slot];
        if (kf_columns_prefix(&knowledge->now.columns, row) == prefix &&
            has_name(knowledge, row, name, buffer)) {
            break;
        }
    }
    return slot;
}

void
kf_names_prefetch(const kf_knowledge *knowledge,
                  const uint8_t name[KF_NAME_SIZE])
{
    const kf_name_table *table = &knowledge->now.names;
    __builtin_prefetch(
        &table->rows[home_slot(knowledge, table, kf_name_prefix(name))]);
}

void
kf_names_add(const kf_knowledge *knowledge, kf_name_table *table,
             uint64_t prefix, uint32_t row)
{
    size_t mask = kf_names_slots(table) - 1;
    size_t slot = home_slot(knowledge, table, prefix);
    while (table->rows[slot] != KF_NO_ROW) {
        slot = (slot + 1) & mask;
    }
    table->rows[slot] = row;
}

/* Moves back what had to walk past the slot. */
void
kf_names_remove(kf_knowledge *knowledge, size_t slot)
{
    kf_name_table *table = &knowledge->now.names;
    size_t mask = kf_names_slots(table) - 1;
    size_t hole = slot;
    for (size_t next = (slot + 1) & mask; table->rows[next] != KF_NO_ROW;
         next = (next + 1) & mask) {
        size_t home = home_slot(
            knowledge, table,
            kf_columns_prefix(&knowledge->now.columns, table->rows[next]));
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            table->rows[hole] = table->rows[next];
            hole = next;
        }
    }
    table->rows[hole] = KF_NO_ROW;
}
