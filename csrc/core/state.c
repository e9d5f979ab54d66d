#include "kato_fast/state.h"

#include "kato_fast/buffer.h"
#include "kato_fast/json.h"

#include <stdlib.h>
#include <string.h>

/* Copy a text that the symbols do not have, in both of its forms. */
static bool
keep_unknown(kf_state *state, uint32_t j, kf_text text)
{
    size_t json_size = kf_json_string_size(text.bytes, text.size);
    char *bytes = kf_arena_take(&state->arena, text.size + json_size);
    kf_buffer json = {&state->alloc, NULL, 0, json_size, false};
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, text.bytes, text.size);
    json.data = bytes + text.size; /* large enough: it never grows */
    kf_json_string(&json, bytes, text.size);
    state->texts[j] = (kf_text){bytes, text.size};
    state->json[j] = (kf_text){json.data, json_size};
    return true;
}

static bool
encode_symbol(kf_state *state, uint32_t j, kf_text text)
{
    const kf_symbols *symbols = state->symbols;
    uint32_t id = kf_symbols_find(symbols, text);
    state->ids[j] = id;
    if (id == KF_SYMBOL_NONE) {
        return keep_unknown(state, j, text);
    }
    state->texts[j] = kf_symbols_text(symbols, id);
    state->json[j] = kf_symbols_json(symbols, id);
    return true;
}

static int
compare_symbols(const void *a, const void *b)
{
    const kf_state_symbol *x = a;
    const kf_state_symbol *y = b;
    if (x->symbol != y->symbol) {
        return x->symbol < y->symbol ? -1 : 1;
    }
    return (x->first > y->first) - (x->first < y->first);
}

/* Sort known positions by symbol, then join those of one symbol. */
static void
count_distinct(kf_state *state)
{
    kf_state_symbol *distinct = state->distinct;
    uint32_t known = 0;
    for (uint32_t j = 0; j < state->m; j++) {
        if (state->ids[j] != KF_SYMBOL_NONE) {
            distinct[known++] = (kf_state_symbol){state->ids[j], 1, j};
        }
    }
    qsort(distinct, known, sizeof *distinct, compare_symbols);
    for (uint32_t k = 0; k < known; k++) {
        if (k > 0 &&
            distinct[state->n_distinct - 1].symbol == distinct[k].symbol) {
            distinct[state->n_distinct - 1].count++;
        }
        else {
            distinct[state->n_distinct++] = distinct[k];
        }
    }
}

static bool
encode_all(kf_state *state, const kf_text *texts)
{
    kf_arena *arena = &state->arena;
    state->ids = kf_arena_take(arena, state->m * sizeof *state->ids);
    state->texts = kf_arena_take(arena, state->m * sizeof *state->texts);
    state->json = kf_arena_take(arena, state->m * sizeof *state->json);
    state->distinct = kf_arena_take(arena, state->m * sizeof *state->distinct);
    if (state->ids == NULL || state->texts == NULL || state->json == NULL ||
        state->distinct == NULL) {
        return false;
    }
    for (uint32_t j = 0; j < state->m; j++) {
        if (!encode_symbol(state, j, texts[j])) {
            return false;
        }
    }
    count_distinct(state);
    return true;
}

kf_status
kf_state_encode(const kf_alloc *alloc, kf_symbols *symbols,
                const kf_text *texts, uint32_t m, kf_state **out,
                kf_error *err)
{
    kf_state *state = kf_allocate_zero(alloc, 1, sizeof *state);
    kf_status status = KF_NO_MEMORY;
    if (state == NULL) {
        return kf_no_memory(err);
    }
    state->alloc = *alloc;
    state->m = m;
    state->symbols = kf_symbols_share(symbols);
    kf_arena_init(&state->arena, &state->alloc);
    if (encode_all(state, texts)) {
        status = kf_align_state_new(alloc, state->ids, m, &state->align, err);
    }
    if (status != KF_OK) {
        kf_state_free(state);
        return kf_no_memory(err);
    }
    *out = state;
    return KF_OK;
}

bool
kf_state_keep_events(kf_state *state, const uint32_t *ends, uint32_t n_events)
{
    size_t size = n_events * sizeof *ends;
    uint32_t *kept = kf_arena_take(&state->arena, size);
    if (kept == NULL) {
        return false;
    }
    if (n_events > 0) {
        memcpy(kept, ends, size);
    }
    state->ends = kept;
    state->n_events = n_events;
    return true;
}

void
kf_state_free(kf_state *state)
{
    kf_alloc alloc;
    if (state == NULL) {
        return;
    }
    alloc = state->alloc;
    kf_align_state_free(state->align);
    kf_arena_free(&state->arena);
    kf_symbols_release(state->symbols);
    kf_release(&alloc, state);
}
