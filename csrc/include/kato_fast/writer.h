/* Predictions as finished bytes, straight from the structs.
 *
 * JSON equals json.dumps(x, ensure_ascii=False, separators=(",", ":")) and
 * CBOR equals cbor2.dumps(x) of the same values as dicts and lists. Appends
 * to the buffer; failure is in the buffer. Reads only. */
#ifndef KATO_FAST_WRITER_H
#define KATO_FAST_WRITER_H

#include "kato_fast/buffer.h"
#include "kato_fast/prediction.h"

#include <stdbool.h>

/* The list of predictions. pattern_names: each also has
 * "pattern_name": "PTRN|" and its name, at the end. */
void kf_write_predictions_json(kf_buffer *buffer,
                               const kf_predictions *predictions,
                               bool pattern_names);
void kf_write_predictions_cbor(kf_buffer *buffer,
                               const kf_predictions *predictions,
                               bool pattern_names);

/* The list of future_potentials. */
void kf_write_futures_json(kf_buffer *buffer, kf_predictions *predictions);
void kf_write_futures_cbor(kf_buffer *buffer, kf_predictions *predictions);

#endif
