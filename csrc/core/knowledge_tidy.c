#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

#include <string.h>

/* What forgotten patterns leave is given back once it is this much and half
 * of all: rows, and symbols that no pattern has any more. */
#define GAPS_MIN 1024
#define GONE_SYMBOLS_MIN 65536
#define UNUSED_SYMBOLS_MIN 4096


/* --- giving back what forgotten patterns held: the writer's --- */

/* Other contents, which nobody sees yet. */
typedef struct {
    kf_contents fresh;
    uint32_t *numbers; /* of symbols, by old number; KF_SYMBOL_NONE: not met */
} copying;

/* Symbols that no pattern has stay behind, so the others get new numbers. */
static kf_status
renumber(const kf_symbols *from, copying *to, kf_pattern *pattern,
         kf_error *err)
{
    kf_symbols *symbols = to->fresh.root->symbols;
    for (uint32_t i = 0; i < pattern->n; i++) {
        uint32_t old = pattern->ids[i];
        kf_status status = KF_OK;
        if (to->numbers[old] == KF_SYMBOL_NONE) {
            status = kf_symbols_intern(symbols, kf_symbols_text(from, old),
                                       &to->numbers[old], err);
        }
        if (status != KF_OK) {
            return status;
        }
        pattern->ids[i] = to->numbers[old];
    }
    return kf_counters_reserve(&to->fresh.counters, kf_symbols_count(symbols))
               ? KF_OK
               : kf_no_memory(err);
}

/* A row's pattern and name in the new head; the row is not there yet. */
static kf_status
copy_pattern(kf_knowledge *knowledge, uint32_t row, copying *to,
             kf_pattern **out, kf_error *err)
{
    const kf_root *root = knowledge->now.root;
    const kf_pattern *original = kf_rows_read_back(knowledge, row);
    size_t size = kf_pattern_size(original->n, original->n_events);
    kf_pattern *pattern = kf_arena_take(&to->fresh.head->arena, size);
    if (pattern == NULL) {
        return kf_no_memory(err);
    }
    kf_root_name(root, knowledge->unicode, row, knowledge->buffer);
    memcpy(pattern, original, size);
    *out = pattern;
    return renumber(root->symbols, to, pattern, err);
}

static kf_status
copy_row(kf_knowledge *knowledge, uint32_t row, copying *to, kf_error *err)
{
    const kf_columns *columns = &knowledge->now.columns;
    kf_contents *fresh = &to->fresh;
    uint64_t frequency = kf_columns_frequency(columns, row);
    kf_emotives *emotives = kf_columns_emotives(columns, row);
    kf_pattern *pattern = NULL;
    uint32_t copy;
    kf_status status = kf_rows_seal_if_full(knowledge, fresh, false, err);
    if (status == KF_OK) {
        status = copy_pattern(knowledge, row, to, &pattern, err);
    }
    if (status != KF_OK) {
        return status;
    }
    if (!kf_rows_reserve(knowledge, fresh) ||
        !kf_columns_reserve_frequency(&fresh->columns, fresh->n_rows,
                                      frequency) ||
        (emotives != NULL &&
         !kf_columns_reserve_emotives(&fresh->columns, fresh->n_rows))) {
        return kf_no_memory(err);
    }
    copy = kf_rows_append(knowledge, fresh, pattern);
    kf_columns_set_frequency(&fresh->columns, copy, frequency);
    kf_emotives_release(
        kf_columns_swap_emotives(&fresh->columns, copy, emotives));
    kf_counters_add(&fresh->counters, pattern->ids, pattern->n, frequency);
    return KF_OK;
}

static bool
copy_all(kf_knowledge *knowledge, copying *to)
{
    const kf_contents *now = &knowledge->now;
    uint32_t symbols = kf_symbols_count(now->root->symbols);
    kf_status status = KF_OK;
    to->numbers = kf_allocate(&knowledge->alloc, symbols, sizeof *to->numbers);
    if (to->numbers == NULL) {
        return false;
    }
    memset(to->numbers, 0xff, symbols * sizeof *to->numbers);
    for (uint32_t row = 0; row < now->n_rows && status == KF_OK; row++) {
        if (kf_columns_frequency(&now->columns, row) != 0) {
            status = copy_row(knowledge, row, to, NULL);
        }
    }
    return status == KF_OK;
}

static bool
is_wasteful(const kf_contents *now)
{
    uint32_t gaps = now->n_rows - now->n_patterns;
    uint32_t symbols = kf_symbols_count(now->root->symbols);
    uint32_t unused = symbols - now->counters.n_symbols;
    /* A few long patterns are no reason to copy millions. */
    return (gaps >= GAPS_MIN && gaps >= now->n_rows / 2) ||
           (now->gone_symbols >= GONE_SYMBOLS_MIN &&
            now->gone_symbols >= now->live_symbols) ||
           (unused >= UNUSED_SYMBOLS_MIN && unused >= symbols / 2 &&
            unused >= now->n_patterns / 4);
}

/* Build contents without the waste and let them take over. Where there is no
 * memory for that it stays, until the next time. */
void
kf_knowledge_tidy(kf_knowledge *knowledge)
{
    copying to = {.numbers = NULL};
    if (!is_wasteful(&knowledge->now) ||
        !kf_rows_reserve_buffer(knowledge, 0) ||
        kf_contents_make_empty(knowledge, &to.fresh, NULL) != KF_OK) {
        return;
    }
    if (copy_all(knowledge, &to)) {
        kf_contents_replace(knowledge, &to.fresh);
    }
    else {
        kf_contents_free(&knowledge->alloc, &to.fresh);
    }
    kf_release(&knowledge->alloc, to.numbers);
}
