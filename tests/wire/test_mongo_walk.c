/* The walker over BSON: what it finds, and each of its allocations failing
 * in turn. */
#include "wire/mongo_walk.h"

#include "check.h"

#include <string.h>

/* A document under construction; put_ functions write elements. */
typedef struct {
    uint8_t bytes[16384];
    size_t size;
    size_t starts[4];
    size_t depth;
} built;

static void
put(built *built, const void *bytes, size_t size)
{
    memcpy(built->bytes + built->size, bytes, size);
    built->size += size;
}

static void
put_u32(built *built, uint32_t value)
{
    put(built, &value, sizeof value);
}

static void
open_at(built *built)
{
    built->starts[built->depth++] = built->size;
    put_u32(built, 0);
}

static void
close_at(built *built)
{
    size_t start = built->starts[--built->depth];
    uint32_t size;
    put(built, "", 1);
    size = (uint32_t)(built->size - start);
    memcpy(built->bytes + start, &size, sizeof size);
}

static void
put_key(built *built, uint8_t type, const char *key)
{
    put(built, &type, 1);
    put(built, key, strlen(key) + 1);
}

static void
put_text(built *built, const char *key, const char *text)
{
    put_key(built, 2, key);
    put_u32(built, (uint32_t)strlen(text) + 1);
    put(built, text, strlen(text) + 1);
}

static void
put_events(built *built, unsigned events)
{
    put_key(built, 4, "pattern_data");
    open_at(built);
    for (unsigned i = 0; i < events; i++) {
        put_key(built, 4, "0");
        open_at(built);
        put_text(built, "0", "symbol");
        put_text(built, "1", "\xc3\xa9");
        close_at(built);
    }
    close_at(built);
}

static void
put_emotives(built *built, unsigned numbers)
{
    double value = 0.5;
    put_key(built, 4, "emotives");
    open_at(built);
    put_key(built, 3, "0");
    open_at(built);
    for (unsigned i = 0; i < numbers; i++) {
        put_key(built, 1, "mood");
        put(built, &value, sizeof value);
    }
    close_at(built);
    close_at(built);
}

static const built *
pattern(unsigned events, unsigned numbers)
{
    static built made;
    memset(&made, 0, sizeof made);
    open_at(&made);
    put_text(&made, "name", "0123");
    put_key(&made, 16, "frequency");
    put_u32(&made, 7);
    put_events(&made, events);
    put_emotives(&made, numbers);
    close_at(&made);
    return &made;
}

static void
test_what_is_found(void)
{
    const built *made = pattern(3, 2);
    kf_mongo_walker walker;
    kf_mongo_pattern found;
    kf_error err;
    kf_mongo_walker_init(&walker, &kf_alloc_default);
    CHECK(kf_mongo_walk(&walker, made->bytes, made->size, &found, &err) ==
          KF_OK);
    CHECK(found.name.size == 4 && memcmp(found.name.bytes, "0123", 4) == 0);
    CHECK(found.frequency == 7 && found.n == 6 && found.n_events == 3);
    CHECK(found.ends[0] == 2 && found.ends[2] == 6);
    CHECK(found.symbols[5].size == 2);
    CHECK(found.has_emotives && found.n_maps == 1);
    CHECK(found.maps[0].count == 2 && found.maps[0].items[1].value == 0.5);
    kf_mongo_walker_free(&walker);
}

static void
test_each_failure(void)
{
    const built *made = pattern(200, 100); /* the arrays grow */
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    CHECK_EACH_FAILURE (memory, done) {
        kf_mongo_walker walker;
        kf_mongo_pattern found;
        kf_error err = {.code = KF_OK};
        kf_status status;
        kf_mongo_walker_init(&walker, &alloc);
        status = kf_mongo_walk(&walker, made->bytes, made->size, &found, &err);
        done = status == KF_OK;
        CHECK(done || (status == KF_NO_MEMORY && err.code == KF_NO_MEMORY));
        kf_mongo_walker_free(&walker);
        CHECK(memory.live == 0);
    }
    CHECK(memory.calls > 6);
}

static void
test_every_cut(void)
{
    const built *made = pattern(3, 2);
    kf_mongo_walker walker;
    kf_mongo_pattern found;
    kf_error err;
    kf_mongo_walker_init(&walker, &kf_alloc_default);
    for (size_t size = 0; size < made->size; size++) {
        uint8_t *cut = malloc(size + KF_MONGO_BEHIND);
        memcpy(cut, made->bytes, size + KF_MONGO_BEHIND);
        if (size >= 4) { /* it says what it has */
            uint32_t told = (uint32_t)size;
            memcpy(cut, &told, sizeof told);
        }
        CHECK(kf_mongo_walk(&walker, cut, size, &found, &err) == KF_INVALID);
        free(cut);
    }
    kf_mongo_walker_free(&walker);
}

/* What was found before stays, as long as it fits. */
static void
test_gathering(void)
{
    const built *made = pattern(3, 2);
    kf_mongo_walker walker;
    kf_mongo_pattern first;
    kf_mongo_pattern next;
    kf_error err;
    size_t gathered = 1;
    kf_mongo_walker_init(&walker, &kf_alloc_default);
    CHECK(!kf_mongo_walker_fits(&walker, made->size));
    CHECK(kf_mongo_walk(&walker, made->bytes, made->size, &first, &err) ==
          KF_OK);
    for (; kf_mongo_walker_fits(&walker, made->size); gathered++) {
        CHECK(kf_mongo_walk(&walker, made->bytes, made->size, &next, &err) ==
              KF_OK);
        CHECK(next.symbols == first.symbols + 6 * gathered);
        CHECK(next.ends == first.ends + 3 * gathered);
    }
    CHECK(gathered > 100 && first.symbols == walker.symbols);
    CHECK(first.symbols[5].size == 2 && first.ends[2] == 6);
    kf_mongo_walker_empty(&walker);
    CHECK(kf_mongo_walk(&walker, made->bytes, made->size, &next, &err) ==
          KF_OK);
    CHECK(next.symbols == first.symbols);
    kf_mongo_walker_free(&walker);
}

int
main(void)
{
    test_what_is_found();
    test_gathering();
    test_each_failure();
    test_every_cut();
    return check_report();
}
