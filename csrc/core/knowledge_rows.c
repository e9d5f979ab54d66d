#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

#define ROWS_MAX ((size_t)UINT32_MAX - KF_SEGMENT_ROWS)

/* --- adding rows: the writer's, on contents that it alone sees or under the
 * exclusive lock --- */

/* Room for one row more, but for symbols and counters. */
bool
kf_rows_reserve(const kf_knowledge *knowledge, kf_contents *to)
{
    return to->n_rows < ROWS_MAX &&
           kf_columns_reserve(&to->columns, to->n_rows) &&
           kf_names_reserve(knowledge, to);
}

/* The row gets the pattern, with frequency 0; all room is there. */
uint32_t
kf_rows_append(const kf_knowledge *knowledge, kf_contents *to,
               const kf_pattern *pattern)
{
    uint32_t row = to->n_rows++;
    uint32_t tag = kf_name_tag(knowledge, pattern->name);
    to->head->patterns[to->head->count++] = pattern;
    kf_columns_set_frequency(&to->columns, row, 0);
    kf_columns_set_tag(&to->columns, row, tag);
    kf_names_add(&to->names, tag, row);
    to->n_patterns++;
    to->live_symbols += pattern->n;
    if (pattern->n > to->longest) {
        to->longest = pattern->n;
    }
    return row;
}

/* The head is full: a segment takes its place, a new head comes behind. */
static kf_status
seal(kf_knowledge *knowledge, kf_contents *to, bool seen, kf_error *err)
{
    kf_root *before = to->root;
    kf_root *after;
    kf_segment *segment;
    kf_status status =
        kf_segment_build(&knowledge->alloc, to->head->patterns, &segment, err);
    if (status != KF_OK) {
        return status;
    }
    status = kf_contents_root(knowledge, before, segment, before->symbols,
                              &after, err);
    kf_segment_release(segment);
    if (status != KF_OK) {
        return status;
    }
    if (seen) {
        pthread_rwlock_wrlock(&knowledge->lock);
    }
    to->root = after;
    to->head = after->blocks[after->n_blocks - 1].head;
    if (seen) {
        pthread_rwlock_unlock(&knowledge->lock);
    }
    kf_root_release(before);
    return KF_OK;
}

kf_status
kf_rows_seal_if_full(kf_knowledge *knowledge, kf_contents *to, bool seen,
                     kf_error *err)
{
    return to->head->count < KF_SEGMENT_ROWS ? KF_OK
                                             : seal(knowledge, to, seen, err);
}

/* Nobody needs pieces of what is only filled: they cost a third of learning.
 * Who asks has the missing ones made, see kf_knowledge_ask_pieces. */
void
kf_rows_make_pieces(kf_contents *to)
{
    if (atomic_load_explicit(&to->head->asked, memory_order_relaxed)) {
        kf_head_make_pieces(to->head);
    }
}

/* Room to read any pattern back, also one of n symbols that is to come. */
bool
kf_rows_reserve_buffer(kf_knowledge *knowledge, uint32_t n)
{
    uint32_t longest = knowledge->now.longest > n ? knowledge->now.longest : n;
    kf_pattern *buffer;
    if (knowledge->buffer != NULL && knowledge->buffer_longest >= longest) {
        return true;
    }
    buffer =
        kf_allocate(&knowledge->alloc, 1, kf_pattern_size(longest, longest));
    if (buffer == NULL) {
        return false;
    }
    kf_release(&knowledge->alloc, knowledge->buffer);
    knowledge->buffer = buffer;
    knowledge->buffer_longest = longest;
    return true;
}

/* The row's pattern in the buffer. */
const kf_pattern *
kf_rows_read_back(kf_knowledge *knowledge, uint32_t row)
{
    kf_pattern *buffer = knowledge->buffer;
    buffer->n =
        kf_root_read(knowledge->now.root, row, buffer->ids, &buffer->n_events);
    return buffer;
}
