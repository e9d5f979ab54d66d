#include "kato_fast/root.h"

#include <string.h>

/* --- head --- */

kf_status
kf_head_new(const kf_alloc *alloc, kf_head **out, kf_error *err)
{
    kf_head *head = kf_allocate_zero(alloc, 1, sizeof *head);
    if (head == NULL) {
        return kf_no_memory(err);
    }
    head->alloc = *alloc;
    atomic_init(&head->shares, 1);
    atomic_init(&head->asked, false);
    kf_arena_init(&head->arena, &head->alloc);
    head->patterns =
        kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *head->patterns);
    head->gone = kf_allocate_zero(alloc, KF_SEGMENT_ROWS, sizeof *head->gone);
    if (head->patterns == NULL || head->gone == NULL) {
        kf_release(alloc, (void *)head->patterns);
        kf_release(alloc, (void *)head->gone);
        kf_release(alloc, head);
        return kf_no_memory(err);
    }
    *out = head;
    return KF_OK;
}

kf_head *
kf_head_share(kf_head *head)
{
    atomic_fetch_add_explicit(&head->shares, 1, memory_order_relaxed);
    return head;
}

void
kf_head_release(kf_head *head)
{
    kf_alloc alloc;
    if (head == NULL || atomic_fetch_sub_explicit(&head->shares, 1,
                                                  memory_order_acq_rel) > 1) {
        return;
    }
    alloc = head->alloc;
    for (unsigned i = 0; i < head->n_pieces; i++) {
        kf_segment_release(head->pieces[i]);
    }
    kf_arena_free(&head->arena);
    kf_release(&alloc, (void *)head->patterns);
    kf_release(&alloc, (void *)head->gone);
    kf_release(&alloc, head);
}

static bool
make_piece(kf_head *head, unsigned number)
{
    const kf_pattern **rows =
        kf_allocate_zero(&head->alloc, KF_SEGMENT_ROWS, sizeof *rows);
    kf_status status = KF_NO_MEMORY;
    if (rows != NULL) {
        uint32_t first = number * KF_HEAD_PIECE;
        memcpy(rows + first, head->patterns + first,
               KF_HEAD_PIECE * sizeof *rows);
        status =
            kf_segment_build(&head->alloc, rows, &head->pieces[number], NULL);
    }
    kf_release(&head->alloc, rows);
    return status == KF_OK;
}

void
kf_head_make_pieces(kf_head *head)
{
    unsigned number = head->n_pieces;
    while (head->count >= (number + 1) * KF_HEAD_PIECE &&
           make_piece(head, number)) {
        number++;
        atomic_store_explicit(&head->n_pieces, number, memory_order_release);
    }
}

/* --- root --- */

kf_status
kf_root_new(const kf_alloc *alloc, kf_symbols *symbols,
            const kf_block_of_rows *blocks, size_t n_blocks, kf_root **out,
            kf_error *err)
{
    kf_root *root =
        kf_allocate(alloc, 1, sizeof *root + n_blocks * sizeof *blocks);
    if (root == NULL) {
        return kf_no_memory(err);
    }
    root->alloc = *alloc;
    atomic_init(&root->shares, 1);
    root->symbols = kf_symbols_share(symbols);
    root->n_blocks = n_blocks;
    for (size_t b = 0; b < n_blocks; b++) {
        root->blocks[b] = blocks[b];
        if (blocks[b].segment != NULL) {
            kf_segment_share(blocks[b].segment);
        }
        else {
            kf_head_share(blocks[b].head);
        }
    }
    *out = root;
    return KF_OK;
}

kf_root *
kf_root_share(kf_root *root)
{
    atomic_fetch_add_explicit(&root->shares, 1, memory_order_relaxed);
    return root;
}

void
kf_root_release(kf_root *root)
{
    kf_alloc alloc;
    if (root == NULL || atomic_fetch_sub_explicit(&root->shares, 1,
                                                  memory_order_acq_rel) > 1) {
        return;
    }
    alloc = root->alloc;
    for (size_t b = 0; b < root->n_blocks; b++) {
        kf_segment_release(root->blocks[b].segment);
        kf_head_release(root->blocks[b].head);
    }
    kf_symbols_release(root->symbols);
    kf_release(&alloc, root);
}

/* Any pattern's for a row that was forgotten: nobody should ask, but a file
 * may say so. */
static uint32_t
local_of(const kf_segment *segment, uint32_t at)
{
    return kf_segment_local(segment, at) % KF_SEGMENT_ROWS;
}

uint32_t
kf_root_length(const kf_root *root, uint32_t row)
{
    const kf_block_of_rows *block = &root->blocks[row / KF_SEGMENT_ROWS];
    uint32_t at = row % KF_SEGMENT_ROWS;
    if (block->segment != NULL) {
        return kf_segment_run(block->segment, local_of(block->segment, at))->n;
    }
    return block->head->patterns[at]->n;
}

uint32_t
kf_root_read(const kf_root *root, uint32_t row, uint32_t *out,
             uint32_t *n_events)
{
    const kf_block_of_rows *block = &root->blocks[row / KF_SEGMENT_ROWS];
    uint32_t at = row % KF_SEGMENT_ROWS;
    const kf_pattern *pattern;
    if (block->segment != NULL) {
        return kf_segment_read(block->segment, local_of(block->segment, at),
                               out, n_events);
    }
    pattern = block->head->patterns[at];
    memcpy(out, pattern->ids,
           ((size_t)pattern->n + pattern->n_events) * sizeof *out);
    *n_events = pattern->n_events;
    return pattern->n;
}

static void
make_name(const kf_root *root, unsigned unicode, kf_pattern *pattern)
{
    const uint32_t *ends = kf_pattern_ends(pattern);
    kf_naming naming;
    uint32_t i = 0;
    kf_naming_start(&naming, unicode);
    for (uint32_t event = 0; event < pattern->n_events; event++) {
        kf_naming_event(&naming);
        for (; i < ends[event]; i++) {
            kf_text text = kf_symbols_text(root->symbols, pattern->ids[i]);
            kf_naming_symbol(&naming, text.bytes, text.size);
        }
    }
    kf_naming_finish(&naming, pattern->name);
}

void
kf_root_name(const kf_root *root, unsigned unicode, uint32_t row,
             kf_pattern *pattern)
{
    const kf_head *head = root->blocks[row / KF_SEGMENT_ROWS].head;
    if (head != NULL) {
        memcpy(pattern->name, head->patterns[row % KF_SEGMENT_ROWS]->name,
               KF_NAME_SIZE);
        return;
    }
    make_name(root, unicode, pattern);
}
