/* A document of a MongoDB server: the first byte says which allocation
 * fails. What may be read behind it is there, and no more. */
#include "target.h"
#include "wire/mongo_walk.h"

#include "kato_fast/pattern.h"
#include "kato_fast/utf8.h"

#include <string.h>

/* Every text lies inside of the document, every event has symbols. */
static void
check(const kf_mongo_pattern *found, const char *data, size_t size)
{
    uint32_t before = 0;
    MUST(found->n <= KF_SYMBOLS_MAX && found->n_maps <= KF_MONGO_MAPS_MAX);
    for (uint32_t i = 0; i < found->n; i++) {
        kf_text text = found->symbols[i];
        MUST(text.bytes >= data && text.bytes + text.size <= data + size);
        MUST(kf_utf8_is_valid(text.bytes, text.size));
    }
    for (uint32_t i = 0; i < found->n_events; i++) {
        MUST(found->ends[i] > before);
        before = found->ends[i];
    }
    MUST(before == found->n);
    for (uint32_t i = 0; i < found->n_maps; i++) {
        for (uint32_t k = 0; k < found->maps[i].count; k++) {
            kf_text name = found->maps[i].items[k].name;
            MUST(name.bytes >= data && name.bytes + name.size <= data + size);
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_memory memory = {0};
    kf_alloc alloc = fuzz_alloc(&memory);
    kf_mongo_walker walker;
    kf_error err = {.code = KF_OK};
    uint8_t *document;
    if (size < 1) {
        return 0;
    }
    document = malloc(size - 1 + KF_MONGO_BEHIND);
    MUST(document != NULL);
    memcpy(document, data + 1, size - 1);
    memset(document + size - 1, 1, KF_MONGO_BEHIND);
    memory.fail_at = data[0];
    kf_mongo_walker_init(&walker, &alloc);
    for (int again = 0; again < 2; again++) { /* it is used again */
        kf_mongo_pattern found;
        kf_status status =
            kf_mongo_walk(&walker, document, size - 1, &found, &err);
        if (status == KF_OK) {
            check(&found, (const char *)document, size - 1);
        }
        else {
            MUST(err.message[0] != '\0');
        }
    }
    kf_mongo_walker_free(&walker);
    free(document);
    fuzz_end(&memory, size);
    return 0;
}
