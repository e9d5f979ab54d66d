/* CBOR into items: kinds and places, limits, and each allocation failing in
 * turn. What is refused, and with which words, is compared with the twin in
 * tests/parity/test_cbor.py. */
#include "check.h"
#include "wire/cbor.h"

#include <string.h>

/* {"Fun": true, "Amt": [-2, 1.5, h'0102', (_ "ab", "c")], "n": null} */
static const unsigned char WHOLE[] =
    "\xbf\x63"
    "Fun\xf5\x63"
    "Amt\x9f\x21\xf9\x3e\x00\x42\x01\x02\x7f\x62"
    "ab\x61"
    "c\xff\xff\x61"
    "n\xf6\xff";

static const kf_cbor_limits LIMITS = {16, 100, false};

static void
test_items(void)
{
    static const kf_cbor_kind kinds[] = {
        KF_CBOR_MAP,    KF_CBOR_TEXT,     KF_CBOR_TRUE,   KF_CBOR_TEXT,
        KF_CBOR_ARRAY,  KF_CBOR_NEGATIVE, KF_CBOR_DOUBLE, KF_CBOR_BYTES,
        KF_CBOR_CHUNKS, KF_CBOR_TEXT,     KF_CBOR_TEXT,   KF_CBOR_TEXT,
        KF_CBOR_NULL};
    kf_cbor_items items;
    kf_error err;
    kf_cbor_items_init(&items, &kf_alloc_default);
    CHECK(kf_cbor_decode(WHOLE, sizeof WHOLE - 1, &LIMITS, &items, &err) ==
          KF_OK);
    CHECK(items.n == sizeof kinds / sizeof *kinds);
    for (size_t i = 0; i < items.n; i++) {
        CHECK(items.items[i].kind == kinds[i]);
    }
    CHECK(items.items[0].is.number == 3);
    CHECK(items.items[4].is.number == 4 && items.items[4].at == 10);
    CHECK(items.items[5].is.number == 1);
    CHECK(items.items[6].is.value == 1.5);
    CHECK(memcmp(WHOLE + items.items[7].start, "\1\2", 2) == 0);
    CHECK(items.items[8].is.number == 2 && items.items[8].text);
    CHECK(memcmp(WHOLE + items.items[10].start, "c", 1) == 0);
    kf_cbor_items_free(&items);
}

/* Each prefix ends inside of an item, and nothing is read behind it. */
static void
test_prefixes(void)
{
    for (size_t size = 0; size < sizeof WHOLE - 1; size++) {
        unsigned char *exact = malloc(size + 1);
        kf_cbor_items items;
        kf_error err;
        memcpy(exact, WHOLE, size);
        kf_cbor_items_init(&items, &kf_alloc_default);
        CHECK(kf_cbor_decode(exact, size, &LIMITS, &items, &err) ==
              KF_INVALID);
        CHECK(strstr(err.message, "data ends inside of an item") != NULL);
        kf_cbor_items_free(&items);
        free(exact);
    }
}

static kf_status
decode(const char *bytes, size_t size, size_t depth, size_t most, bool finite)
{
    kf_cbor_limits limits = {depth, most, finite};
    kf_cbor_items items;
    kf_error err;
    kf_status status;
    kf_cbor_items_init(&items, &kf_alloc_default);
    status = kf_cbor_decode((const unsigned char *)bytes, size, &limits,
                            &items, &err);
    CHECK(items.n <= most);
    kf_cbor_items_free(&items);
    return status;
}

static void
test_limits(void)
{
    CHECK(decode("\x81\x81\x81\0", 4, 3, 10, false) == KF_OK);
    CHECK(decode("\x81\x81\x81\0", 4, 2, 10, false) == KF_TOO_LARGE);
    CHECK(decode("\x83\1\2\3", 4, 2, 4, false) == KF_OK);
    CHECK(decode("\x83\1\2\3", 4, 2, 3, false) == KF_TOO_LARGE);
    CHECK(decode("\xf9\x7c\0", 3, 2, 3, false) == KF_OK);
    CHECK(decode("\xf9\x7c\0", 3, 2, 3, true) == KF_INVALID);
    CHECK(decode("\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9, 2, 3, false) ==
          KF_INVALID);
    CHECK(decode("\xbb\x80\0\0\0\0\0\0\0", 9, 2, 3, false) == KF_INVALID);
    CHECK(decode("\x5b\x80\0\0\0\0\0\0\0", 9, 2, 3, false) == KF_INVALID);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_cbor_items items;
        kf_error err;
        kf_status status;
        kf_cbor_items_init(&items, &alloc);
        status =
            kf_cbor_decode(WHOLE, sizeof WHOLE - 1, &LIMITS, &items, &err);
        CHECK(status == KF_OK || status == KF_NO_MEMORY);
        done = status == KF_OK;
        failures += !done;
        kf_cbor_items_free(&items);
    }
    CHECK(failures >= 2);
}

int
main(void)
{
    test_items();
    test_prefixes();
    test_limits();
    test_no_memory();
    return check_report();
}
