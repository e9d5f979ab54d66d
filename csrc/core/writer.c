#include "kato_fast/writer.h"

#include "kato_fast/cbor.h"
#include "kato_fast/json.h"

/* One walk writes both formats. `format` is a constant in every caller and
 * everything is inlined, so that each gets a copy without the tests. */
typedef enum {
    JSON,
    CBOR
} format;

#define INLINE static inline __attribute__((always_inline))

INLINE void
open_list(kf_buffer *buffer, format as, uint64_t count)
{
    if (as == JSON) {
        kf_buffer_put(buffer, '[');
    }
    else {
        kf_cbor_array(buffer, count);
    }
}

INLINE void
close_list(kf_buffer *buffer, format as)
{
    if (as == JSON) {
        kf_buffer_put(buffer, ']');
    }
}

INLINE void
open_map(kf_buffer *buffer, format as, uint64_t count)
{
    if (as == JSON) {
        kf_buffer_put(buffer, '{');
    }
    else {
        kf_cbor_map(buffer, count);
    }
}

INLINE void
close_map(kf_buffer *buffer, format as)
{
    if (as == JSON) {
        kf_buffer_put(buffer, '}');
    }
}

/* Before each item but the first. */
INLINE void
separate(kf_buffer *buffer, format as, bool first)
{
    if (as == JSON && !first) {
        kf_buffer_put(buffer, ',');
    }
}

/* Key of a map; start is "" for the first and "," for all others. */
#define WRITE_KEY(buffer, as, start, name)                      \
    do {                                                        \
        if ((as) == JSON) {                                     \
            KF_BUFFER_LITERAL((buffer), start "\"" name "\":"); \
        }                                                       \
        else {                                                  \
            kf_cbor_text((buffer), (name), sizeof(name) - 1);   \
        }                                                       \
    } while (0)

INLINE void
write_text(kf_buffer *buffer, format as, kf_text text, kf_text json)
{
    if (as == JSON) {
        kf_buffer_append(buffer, json.bytes, json.size);
    }
    else {
        kf_cbor_text(buffer, text.bytes, text.size);
    }
}

INLINE void
write_symbol(kf_buffer *buffer, format as, const kf_symbols *symbols,
             uint32_t id)
{
    if (as == JSON) {
        kf_text json = kf_symbols_json(symbols, id);
        kf_buffer_append(buffer, json.bytes, json.size);
    }
    else {
        kf_text text = kf_symbols_text(symbols, id);
        kf_cbor_text(buffer, text.bytes, text.size);
    }
}

INLINE void
write_double(kf_buffer *buffer, format as, double value)
{
    if (as == JSON) {
        kf_json_double(buffer, value);
    }
    else {
        kf_cbor_double(buffer, value);
    }
}

INLINE void
write_uint(kf_buffer *buffer, format as, uint64_t value)
{
    if (as == JSON) {
        kf_json_uint(buffer, value);
    }
    else {
        kf_cbor_uint(buffer, value);
    }
}

/* Hex digits need no escapes. */
INLINE void
write_name(kf_buffer *buffer, format as, const kf_pattern *pattern)
{
    char hex[KF_NAME_HEX_SIZE + 2];
    kf_name_to_hex(pattern->name, hex + 1);
    hex[0] = hex[KF_NAME_HEX_SIZE + 1] = '"';
    write_text(buffer, as, (kf_text){hex + 1, KF_NAME_HEX_SIZE},
               (kf_text){hex, KF_NAME_HEX_SIZE + 2});
}

INLINE void
write_prefixed_name(kf_buffer *buffer, format as, const kf_pattern *pattern)
{
    char text[1 + 5 + KF_NAME_HEX_SIZE + 1] = "\"PTRN|";
    kf_name_to_hex(pattern->name, text + 6);
    text[6 + KF_NAME_HEX_SIZE] = '"';
    write_text(buffer, as, (kf_text){text + 1, 5 + KF_NAME_HEX_SIZE},
               (kf_text){text, sizeof text});
}

INLINE void
write_events(kf_buffer *buffer, format as, const kf_symbols *symbols,
             const kf_pattern *pattern, uint32_t first, uint32_t end)
{
    uint32_t i = kf_pattern_start(pattern, first);
    open_list(buffer, as, end - first);
    for (uint32_t event = first; event < end; event++) {
        uint32_t event_end = kf_pattern_ends(pattern)[event];
        bool first_symbol = true;
        separate(buffer, as, event == first);
        open_list(buffer, as, event_end - i);
        for (; i < event_end; i++) {
            separate(buffer, as, first_symbol);
            write_symbol(buffer, as, symbols, pattern->ids[i]);
            first_symbol = false;
        }
        close_list(buffer, as);
    }
    close_list(buffer, as);
}

INLINE void
write_matches(kf_buffer *buffer, format as, const kf_symbols *symbols,
              const kf_prediction *prediction)
{
    uint64_t matched = 0;
    bool first = true;
    for (uint32_t b = 0; b < prediction->n_blocks; b++) {
        matched += prediction->blocks[b].k;
    }
    open_list(buffer, as, matched);
    for (uint32_t b = 0; b < prediction->n_blocks; b++) {
        const kf_block *block = &prediction->blocks[b];
        for (uint32_t i = block->i; i < block->i + block->k; i++) {
            separate(buffer, as, first);
            write_symbol(buffer, as, symbols, prediction->pattern->ids[i]);
            first = false;
        }
    }
    close_list(buffer, as);
}

INLINE void
write_missing(kf_buffer *buffer, format as, const kf_symbols *symbols,
              const kf_prediction *prediction)
{
    open_list(buffer, as, prediction->n_missing);
    for (uint32_t i = 0; i < prediction->n_missing; i++) {
        separate(buffer, as, i == 0);
        write_symbol(buffer, as, symbols,
                     prediction->pattern->ids[prediction->missing[i]]);
    }
    close_list(buffer, as);
}

INLINE void
write_extras(kf_buffer *buffer, format as, const kf_state *state,
             const kf_prediction *prediction)
{
    open_list(buffer, as, prediction->n_extras);
    for (uint32_t x = 0; x < prediction->n_extras; x++) {
        uint32_t j = prediction->extras[x];
        separate(buffer, as, x == 0);
        write_text(buffer, as, state->texts[j], state->json[j]);
    }
    close_list(buffer, as);
}

INLINE void
write_emotives(kf_buffer *buffer, format as, const kf_emotives *emotives)
{
    kf_emotive_map map = {NULL, 0};
    if (emotives != NULL) {
        map = kf_emotives_average(emotives);
    }
    open_map(buffer, as, map.count);
    for (uint32_t i = 0; i < map.count; i++) {
        separate(buffer, as, i == 0);
        if (as == JSON) {
            kf_json_string(buffer, map.items[i].name.bytes,
                           map.items[i].name.size);
            kf_buffer_put(buffer, ':');
        }
        else {
            kf_cbor_text(buffer, map.items[i].name.bytes,
                         map.items[i].name.size);
        }
        write_double(buffer, as, map.items[i].value);
    }
    close_map(buffer, as);
}

#define WRITE_FIELD(name)                           \
    do {                                            \
        WRITE_KEY(buffer, as, ",", #name);          \
        write_double(buffer, as, prediction->name); \
    } while (0)

/* Keys in the host's order (its section 6.4). */
INLINE void
write_prediction(kf_buffer *buffer, format as, const kf_state *state,
                 const kf_prediction *prediction, bool pattern_name)
{
    const kf_symbols *symbols = state->symbols;
    const kf_pattern *pattern = prediction->pattern;
    open_map(buffer, as, pattern_name ? 26 : 25);
    WRITE_KEY(buffer, as, "", "type");
    write_text(buffer, as, (kf_text){"prototypical", 12},
               (kf_text){"\"prototypical\"", 14});
    WRITE_KEY(buffer, as, ",", "name");
    write_name(buffer, as, pattern);
    WRITE_KEY(buffer, as, ",", "frequency");
    write_uint(buffer, as, prediction->frequency);
    WRITE_KEY(buffer, as, ",", "emotives");
    write_emotives(buffer, as, prediction->emotives);
    WRITE_KEY(buffer, as, ",", "matches");
    write_matches(buffer, as, symbols, prediction);
    WRITE_KEY(buffer, as, ",", "past");
    write_events(buffer, as, symbols, pattern, 0, prediction->past_end);
    WRITE_KEY(buffer, as, ",", "present");
    write_events(buffer, as, symbols, pattern, prediction->past_end,
                 prediction->present_end);
    WRITE_KEY(buffer, as, ",", "missing");
    write_missing(buffer, as, symbols, prediction);
    WRITE_KEY(buffer, as, ",", "extras");
    write_extras(buffer, as, state, prediction);
    WRITE_FIELD(potential);
    WRITE_FIELD(evidence);
    WRITE_FIELD(similarity);
    WRITE_FIELD(fragmentation);
    WRITE_FIELD(snr);
    WRITE_FIELD(entropy);
    WRITE_FIELD(hamiltonian);
    WRITE_FIELD(grand_hamiltonian);
    WRITE_FIELD(confluence);
    WRITE_FIELD(predictive_information);
    WRITE_KEY(buffer, as, ",", "sequence");
    write_events(buffer, as, symbols, pattern, 0, pattern->n_events);
    WRITE_KEY(buffer, as, ",", "future");
    write_events(buffer, as, symbols, pattern, prediction->present_end,
                 pattern->n_events);
    WRITE_FIELD(confidence);
    WRITE_FIELD(itfdf_similarity);
    WRITE_FIELD(pattern_probability);
    WRITE_FIELD(weighted_strength);
    if (pattern_name) {
        WRITE_KEY(buffer, as, ",", "pattern_name");
        write_prefixed_name(buffer, as, pattern);
    }
    close_map(buffer, as);
}

INLINE void
write_predictions(kf_buffer *buffer, format as,
                  const kf_predictions *predictions, bool pattern_names)
{
    open_list(buffer, as, predictions->count);
    for (size_t i = 0; i < predictions->count; i++) {
        separate(buffer, as, i == 0);
        write_prediction(buffer, as, predictions->state,
                         &predictions->items[i], pattern_names);
    }
    close_list(buffer, as);
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
write_future(kf_buffer *buffer, format as, const kf_predictions *predictions,
             const kf_future *future, kf_pattern *pattern)
{
    uint32_t first_event;
    kf_predictions_read_future(predictions, future, pattern, &first_event);
    open_map(buffer, as, 4);
    WRITE_KEY(buffer, as, "", "future");
    write_events(buffer, as, predictions->root->symbols, pattern, first_event,
                 pattern->n_events);
    WRITE_KEY(buffer, as, ",", "aggregate_potential");
    write_double(buffer, as, future->aggregate);
    WRITE_KEY(buffer, as, ",", "supporting_patterns");
    write_uint(buffer, as, future->members);
    WRITE_KEY(buffer, as, ",", "total_weighted_frequency");
    write_double(buffer, as, future->weight);
    close_map(buffer, as);
}

INLINE void
write_futures(kf_buffer *buffer, format as, kf_predictions *predictions)
{
    kf_pattern *room = kf_predictions_room(predictions);
    const uint32_t *order;
    if (room == NULL ||
        kf_predictions_order_futures(predictions, &order, NULL) != KF_OK) {
        kf_release(&predictions->alloc, room);
        buffer->failed = true;
        return;
    }
    open_list(buffer, as, predictions->futures.count);
    for (size_t g = 0; g < predictions->futures.count; g++) {
        separate(buffer, as, g == 0);
        write_future(buffer, as, predictions,
                     &predictions->futures.items[order[g]], room);
    }
    close_list(buffer, as);
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
