#include "kato_fast/writer.h"

#include "kato_fast/cbor.h"
#include "kato_fast/decimal.h"
#include "kato_fast/json.h"

/* One walk writes both formats. `format` is a constant in every caller and
 * everything is inlined, so that each gets a copy without the tests. */
typedef enum {
    JSON,
    CBOR
} format;

#define INLINE static inline __attribute__((always_inline))

/* The buffer's end, kept in registers between calls that are not inlined:
 * through the buffer each byte would wait for the size that the one before
 * it stored. The buffer's own size is behind until the pen is lifted. */
typedef struct {
    char *at;
    char *end;
    kf_buffer *buffer;
} pen;

INLINE pen
set_pen(kf_buffer *buffer)
{
    char *data = buffer->data; /* NULL where nothing was written yet */
    return data == NULL
               ? (pen){NULL, NULL, buffer}
               : (pen){data + buffer->size, data + buffer->capacity, buffer};
}

INLINE void
lift_pen(pen out)
{
    out.buffer->size = (size_t)(out.at - out.buffer->data);
}

static __attribute__((noinline)) pen
grow_room(pen out, size_t more)
{
    lift_pen(out);
    kf_buffer_reserve(out.buffer, more);
    return set_pen(out.buffer);
}

INLINE bool
has_room(pen *out, size_t count)
{
    if ((size_t)(out->end - out->at) < count) {
        *out = grow_room(*out, count);
    }
    return (size_t)(out->end - out->at) >= count;
}

/* Symbols and names are short: the two copies overlap where they must. */
INLINE void
copy_text(char *to, const char *from, size_t size)
{
    if (size - 8 <= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    }
    else if (size - 4 < 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    }
    else if (size != 0) {
        memcpy(to, from, size);
    }
}

INLINE void
put_bytes(pen *out, const char *bytes, size_t size)
{
    if (has_room(out, size)) {
        copy_text(out->at, bytes, size);
        out->at += size;
    }
}

INLINE void
put(pen *out, char byte)
{
    if (has_room(out, 1)) {
        *out->at++ = byte;
    }
}

/* What has no place in the pen's own walk. */
#define THROUGH_BUFFER(out, write, ...)    \
    do {                                   \
        lift_pen(*(out));                  \
        write((out)->buffer, __VA_ARGS__); \
        *(out) = set_pen((out)->buffer);   \
    } while (0)

/* A head of CBOR; all but the shortest are rare. */
INLINE void
put_head(pen *out, kf_cbor_major major, uint64_t value)
{
    if (value < 24) {
        put(out, (char)(major | value));
    }
    else {
        THROUGH_BUFFER(out, kf_cbor_head, major, value);
    }
}

INLINE void
open_list(pen *out, format as, uint64_t count)
{
    if (as == JSON) {
        put(out, '[');
    }
    else {
        put_head(out, KF_CBOR_MAJOR_ARRAY, count);
    }
}

INLINE void
close_list(pen *out, format as)
{
    if (as == JSON) {
        put(out, ']');
    }
}

INLINE void
open_map(pen *out, format as, uint64_t count)
{
    if (as == JSON) {
        put(out, '{');
    }
    else {
        put_head(out, KF_CBOR_MAJOR_MAP, count);
    }
}

INLINE void
close_map(pen *out, format as)
{
    if (as == JSON) {
        put(out, '}');
    }
}

/* Before each item but the first. */
INLINE void
separate(pen *out, format as, bool first)
{
    if (as == JSON && !first) {
        put(out, ',');
    }
}

INLINE void
write_text(pen *out, format as, kf_text text, kf_text json)
{
    if (as == JSON) {
        put_bytes(out, json.bytes, json.size);
    }
    else {
        put_head(out, KF_CBOR_MAJOR_TEXT, text.size);
        put_bytes(out, text.bytes, text.size);
    }
}

/* Both forms of what needs no escapes, the length known when compiled. */
INLINE void
write_literal(pen *out, format as, const char *json, size_t json_size,
              const char *name, size_t size)
{
    if (as == JSON) {
        if (has_room(out, json_size)) {
            memcpy(out->at, json, json_size);
            out->at += json_size;
        }
    }
    else if (has_room(out, size + 2)) {
        *out->at++ = (char)(KF_CBOR_MAJOR_TEXT | (size < 24 ? size : 24));
        if (size >= 24) {
            *out->at++ = (char)size;
        }
        memcpy(out->at, name, size);
        out->at += size;
    }
}

/* Key of a map; start is "" for the first and "," for all others. */
#define WRITE_KEY(out, as, start, name)                                     \
    write_literal((out), (as),                                              \
                  start "\"" name "\":", sizeof(start "\"" name "\":") - 1, \
                  (name), sizeof(name) - 1)

INLINE void
write_symbol(pen *out, format as, kf_symbols_reader symbols, uint32_t id)
{
    const kf_symbol_entry *known = kf_symbols_entry(symbols, id);
    if (as == JSON) {
        put_bytes(out, (const char *)(symbols.texts + known->json),
                  known->json_size);
    }
    else {
        put_head(out, KF_CBOR_MAJOR_TEXT, known->size);
        put_bytes(out, (const char *)(symbols.texts + known->bytes),
                  known->size);
    }
}

INLINE void
write_double(pen *out, format as, double value)
{
    if (as == CBOR) {
        THROUGH_BUFFER(out, kf_cbor_double, value);
    }
    else if (has_room(out, KF_DECIMAL_MAX)) {
        out->at += kf_decimal_write(value, out->at);
    }
}

INLINE void
write_uint(pen *out, format as, uint64_t value)
{
    if (as == CBOR) {
        put_head(out, KF_CBOR_MAJOR_UNSIGNED, value);
    }
    else if (has_room(out, KF_DECIMAL_UINT_MAX)) {
        out->at += kf_decimal_write_uint(value, out->at);
    }
}

/* Hex digits need no escapes. */
INLINE void
write_name(pen *out, format as, const kf_pattern *pattern)
{
    char hex[KF_NAME_HEX_SIZE + 2];
    kf_name_to_hex(pattern->name, hex + 1);
    hex[0] = hex[KF_NAME_HEX_SIZE + 1] = '"';
    write_text(out, as, (kf_text){hex + 1, KF_NAME_HEX_SIZE},
               (kf_text){hex, KF_NAME_HEX_SIZE + 2});
}

INLINE void
write_prefixed_name(pen *out, format as, const kf_pattern *pattern)
{
    char text[1 + 5 + KF_NAME_HEX_SIZE + 1] = "\"PTRN|";
    kf_name_to_hex(pattern->name, text + 6);
    text[6 + KF_NAME_HEX_SIZE] = '"';
    write_text(out, as, (kf_text){text + 1, 5 + KF_NAME_HEX_SIZE},
               (kf_text){text, sizeof text});
}

/* Where items of a list lie in the buffer, without what is around them. */
typedef struct {
    size_t start;
    size_t end;
} stretch;

INLINE size_t
offset_of(const pen *out)
{
    return (size_t)(out->at - out->buffer->data);
}

/* The events from first to end, one behind the other. */
INLINE stretch
write_events(pen *out, format as, kf_symbols_reader symbols,
             const kf_pattern *pattern, uint32_t first, uint32_t end)
{
    uint32_t i = kf_pattern_start(pattern, first);
    size_t start = offset_of(out);
    for (uint32_t event = first; event < end; event++) {
        uint32_t event_end = kf_pattern_ends(pattern)[event];
        bool first_symbol = true;
        separate(out, as, event == first);
        open_list(out, as, event_end - i);
        for (; i < event_end; i++) {
            separate(out, as, first_symbol);
            write_symbol(out, as, symbols, pattern->ids[i]);
            first_symbol = false;
        }
        close_list(out, as);
    }
    return (stretch){start, offset_of(out)};
}

INLINE stretch
write_event_list(pen *out, format as, kf_symbols_reader symbols,
                 const kf_pattern *pattern, uint32_t first, uint32_t end)
{
    stretch events;
    open_list(out, as, end - first);
    events = write_events(out, as, symbols, pattern, first, end);
    close_list(out, as);
    return events;
}

/* What was written before, once more. */
INLINE void
write_again(pen *out, stretch items)
{
    size_t size = items.end - items.start;
    if (size != 0 && has_room(out, size)) {
        memcpy(out->at, out->buffer->data + items.start, size);
        out->at += size;
    }
}

/* The sequence is past, present and future one behind the other; only the
 * future is new in it. */
INLINE stretch
write_sequence(pen *out, format as, kf_symbols_reader symbols,
               const kf_prediction *prediction, stretch past, stretch present)
{
    const kf_pattern *pattern = prediction->pattern;
    uint32_t past_end = prediction->past_end;
    uint32_t present_end = prediction->present_end;
    stretch future;
    open_list(out, as, pattern->n_events);
    write_again(out, past);
    separate(out, as, past_end == 0 || past_end == present_end);
    write_again(out, present);
    separate(out, as, present_end == 0 || present_end == pattern->n_events);
    future = write_events(out, as, symbols, pattern, present_end,
                          pattern->n_events);
    close_list(out, as);
    return future;
}

INLINE void
write_matches(pen *out, format as, kf_symbols_reader symbols,
              const kf_prediction *prediction)
{
    uint64_t matched = 0;
    bool first = true;
    for (uint32_t b = 0; b < prediction->n_blocks; b++) {
        matched += prediction->blocks[b].k;
    }
    open_list(out, as, matched);
    for (uint32_t b = 0; b < prediction->n_blocks; b++) {
        const kf_block *block = &prediction->blocks[b];
        for (uint32_t i = block->i; i < block->i + block->k; i++) {
            separate(out, as, first);
            write_symbol(out, as, symbols, prediction->pattern->ids[i]);
            first = false;
        }
    }
    close_list(out, as);
}

/* Symbols by event: items, positions in rising order, n of them, stand in the
 * events that end at ends[0..n_events-1]. write(i): the symbol at i. */
#define WRITE_BY_EVENT(out, as, items, n, ends, n_events, write) \
    do {                                                         \
        uint32_t at = 0;                                         \
        open_list((out), (as), (n_events));                      \
        for (uint32_t event = 0; event < (n_events); event++) {  \
            uint32_t start = at;                                 \
            while (at < (n) && (items)[at] < (ends)[event]) {    \
                at++;                                            \
            }                                                    \
            separate((out), (as), event == 0);                   \
            open_list((out), (as), at - start);                  \
            for (uint32_t item = start; item < at; item++) {     \
                separate((out), (as), item == start);            \
                write((items)[item]);                            \
            }                                                    \
            close_list((out), (as));                             \
        }                                                        \
        close_list((out), (as));                                 \
    } while (0)

INLINE void
write_missing_by_event(pen *out, format as, kf_symbols_reader symbols,
                       const kf_prediction *p)
{
    const uint32_t *ends = kf_pattern_ends(p->pattern) + p->past_end;
    uint32_t n_events = p->present_end - p->past_end;
#define WRITE(i) write_symbol(out, as, symbols, p->pattern->ids[i])
    WRITE_BY_EVENT(out, as, p->missing, p->n_missing, ends, n_events, WRITE);
#undef WRITE
}

INLINE void
write_extras_by_event(pen *out, format as, const kf_state *state,
                      const kf_prediction *p)
{
#define WRITE(j) write_text(out, as, state->texts[j], state->json[j])
    WRITE_BY_EVENT(out, as, p->extras, p->n_extras, state->ends,
                   state->n_events, WRITE);
#undef WRITE
}

INLINE void
write_missing(pen *out, format as, kf_symbols_reader symbols,
              const kf_prediction *prediction)
{
    open_list(out, as, prediction->n_missing);
    for (uint32_t i = 0; i < prediction->n_missing; i++) {
        separate(out, as, i == 0);
        write_symbol(out, as, symbols,
                     prediction->pattern->ids[prediction->missing[i]]);
    }
    close_list(out, as);
}

INLINE void
write_extras(pen *out, format as, const kf_state *state,
             const kf_prediction *prediction)
{
    open_list(out, as, prediction->n_extras);
    for (uint32_t x = 0; x < prediction->n_extras; x++) {
        uint32_t j = prediction->extras[x];
        separate(out, as, x == 0);
        write_text(out, as, state->texts[j], state->json[j]);
    }
    close_list(out, as);
}

INLINE void
write_emotive_name(pen *out, format as, kf_text name)
{
    if (as == JSON) {
        THROUGH_BUFFER(out, kf_json_string, name.bytes, name.size);
        put(out, ':');
    }
    else {
        THROUGH_BUFFER(out, kf_cbor_text, name.bytes, name.size);
    }
}

INLINE void
write_emotives(pen *out, format as, const kf_emotives *emotives)
{
    kf_emotive_map map = {NULL, 0};
    if (emotives != NULL) {
        map = kf_emotives_average(emotives);
    }
    open_map(out, as, map.count);
    for (uint32_t i = 0; i < map.count; i++) {
        separate(out, as, i == 0);
        write_emotive_name(out, as, map.items[i].name);
        write_double(out, as, map.items[i].value);
    }
    close_map(out, as);
}

#define WRITE_FIELD(name)                        \
    do {                                         \
        WRITE_KEY(out, as, ",", #name);          \
        write_double(out, as, prediction->name); \
    } while (0)

/* Missing, extras and the names of two fields are not the same in KATO 2.1. */
INLINE void
write_anomalies(pen *out, format as, kf_symbols_reader symbols,
                const kf_predictions *all, const kf_prediction *prediction)
{
    bool by_event = kf_predictions_by_event(all);
    WRITE_KEY(out, as, ",", "missing");
    if (by_event) {
        write_missing_by_event(out, as, symbols, prediction);
    }
    else {
        write_missing(out, as, symbols, prediction);
    }
    WRITE_KEY(out, as, ",", "extras");
    if (by_event) {
        write_extras_by_event(out, as, all->state, prediction);
    }
    else {
        write_extras(out, as, all->state, prediction);
    }
}

/* A sum of nothing is an int. */
INLINE void
write_sum(pen *out, format as, double value, bool any)
{
    if (any) {
        write_double(out, as, value);
    }
    else {
        write_uint(out, as, 0);
    }
}

INLINE void
write_entropies(pen *out, format as, const kf_predictions *all,
                const kf_prediction *prediction)
{
    if (all->generation == KF_KATO_2_1) {
        WRITE_KEY(out, as, ",", "normalized_entropy");
        write_sum(out, as, all->entropies.normalized,
                  all->entropies.has_normalized);
        WRITE_KEY(out, as, ",", "global_normalized_entropy");
        write_sum(out, as, all->entropies.global, all->entropies.has_global);
    }
    else {
        WRITE_FIELD(hamiltonian);
        WRITE_FIELD(grand_hamiltonian);
    }
}

/* Keys in the host's order (its section 6.4). */
INLINE void
write_prediction(pen *out, format as, const kf_predictions *all,
                 const kf_prediction *prediction, bool pattern_name)
{
    const kf_pattern *pattern = prediction->pattern;
    kf_symbols_reader symbols = kf_symbols_read(all->state->symbols);
    stretch past, present, future;
    open_map(out, as, pattern_name ? 26 : 25);
    WRITE_KEY(out, as, "", "type");
    write_text(out, as, (kf_text){"prototypical", 12},
               (kf_text){"\"prototypical\"", 14});
    WRITE_KEY(out, as, ",", "name");
    write_name(out, as, pattern);
    WRITE_KEY(out, as, ",", "frequency");
    write_uint(out, as, prediction->frequency);
    WRITE_KEY(out, as, ",", "emotives");
    write_emotives(out, as, prediction->emotives);
    WRITE_KEY(out, as, ",", "matches");
    write_matches(out, as, symbols, prediction);
    WRITE_KEY(out, as, ",", "past");
    past =
        write_event_list(out, as, symbols, pattern, 0, prediction->past_end);
    WRITE_KEY(out, as, ",", "present");
    present = write_event_list(out, as, symbols, pattern, prediction->past_end,
                               prediction->present_end);
    write_anomalies(out, as, symbols, all, prediction);
    WRITE_FIELD(potential);
    WRITE_FIELD(evidence);
    WRITE_FIELD(similarity);
    WRITE_FIELD(fragmentation);
    WRITE_FIELD(snr);
    WRITE_FIELD(entropy);
    write_entropies(out, as, all, prediction);
    WRITE_FIELD(confluence);
    WRITE_FIELD(predictive_information);
    WRITE_KEY(out, as, ",", "sequence");
    future = write_sequence(out, as, symbols, prediction, past, present);
    WRITE_KEY(out, as, ",", "future");
    open_list(out, as, pattern->n_events - prediction->present_end);
    write_again(out, future);
    close_list(out, as);
    WRITE_FIELD(confidence);
    WRITE_FIELD(itfdf_similarity);
    WRITE_FIELD(pattern_probability);
    WRITE_FIELD(weighted_strength);
    if (pattern_name) {
        WRITE_KEY(out, as, ",", "pattern_name");
        write_prefixed_name(out, as, pattern);
    }
    close_map(out, as);
}

#define EXPECTED_MAX ((size_t)1 << 24) /* bytes asked for at once */

/* Most predictions of an answer are about as long as the first. */
INLINE void
expect(pen *out, size_t size, size_t count)
{
    size_t all;
    if (kf_size_multiply(size + size / 8, count, &all) &&
        all <= EXPECTED_MAX) {
        (void)has_room(out, all);
    }
}

INLINE void
write_predictions(kf_buffer *buffer, format as,
                  const kf_predictions *predictions, bool pattern_names)
{
    pen out = set_pen(buffer);
    open_list(&out, as, predictions->count);
    for (size_t i = 0; i < predictions->count; i++) {
        size_t start = offset_of(&out);
        separate(&out, as, i == 0);
        write_prediction(&out, as, predictions, &predictions->items[i],
                         pattern_names);
        if (i == 0) {
            expect(&out, offset_of(&out) - start, predictions->count - 1);
        }
    }
    close_list(&out, as);
    lift_pen(out);
}

void
kf_write_predictions_json(kf_buffer *buffer, const kf_predictions *predictions,
                          bool pattern_names)
{
    write_predictions(buffer, JSON, predictions, pattern_names);
}

void
kf_write_predictions_cbor(kf_buffer *buffer, const kf_predictions *predictions,
                          bool pattern_names)
{
    write_predictions(buffer, CBOR, predictions, pattern_names);
}

INLINE void
write_future(pen *out, format as, const kf_predictions *predictions,
             const kf_future *future, kf_pattern *pattern)
{
    kf_symbols_reader symbols = kf_symbols_read(predictions->root->symbols);
    uint32_t first_event;
    kf_predictions_read_future(predictions, future, pattern, &first_event);
    open_map(out, as, 4);
    WRITE_KEY(out, as, "", "future");
    (void)write_event_list(out, as, symbols, pattern, first_event,
                           pattern->n_events);
    WRITE_KEY(out, as, ",", "aggregate_potential");
    write_double(out, as, future->aggregate);
    WRITE_KEY(out, as, ",", "supporting_patterns");
    write_uint(out, as, future->members);
    WRITE_KEY(out, as, ",", "total_weighted_frequency");
    write_double(out, as, future->weight);
    close_map(out, as);
}

INLINE void
write_futures(kf_buffer *buffer, format as, kf_predictions *predictions)
{
    kf_pattern *room = kf_predictions_room(predictions);
    const uint32_t *order;
    pen out = set_pen(buffer);
    if (room == NULL ||
        kf_predictions_order_futures(predictions, &order, NULL) != KF_OK) {
        kf_release(&predictions->alloc, room);
        buffer->failed = true;
        return;
    }
    open_list(&out, as, predictions->futures.count);
    for (size_t g = 0; g < predictions->futures.count; g++) {
        separate(&out, as, g == 0);
        write_future(&out, as, predictions,
                     &predictions->futures.items[order[g]], room);
    }
    close_list(&out, as);
    lift_pen(out);
    kf_release(&predictions->alloc, room);
}

void
kf_write_futures_json(kf_buffer *buffer, kf_predictions *predictions)
{
    write_futures(buffer, JSON, predictions);
}

void
kf_write_futures_cbor(kf_buffer *buffer, kf_predictions *predictions)
{
    write_futures(buffer, CBOR, predictions);
}
