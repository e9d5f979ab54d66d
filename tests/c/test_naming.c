/* Names that are known from Python, one by one; tests/unit/test_naming.py
 * compares many more. */
#include "check.h"
#include "kato_fast/naming.h"
#include "random.h"

#include "../../csrc/core/kernels/naming.h"
#include "kato_fast/cpu.h"

#include <string.h>

/* symbols: ended by NULL; "|" begins the next event. */
static bool
is_named(const char *const *symbols, unsigned unicode, const char *expected)
{
    uint8_t name[KF_NAME_SIZE];
    char hex[KF_NAME_HEX_SIZE];
    kf_naming naming;
    kf_naming_start(&naming, unicode);
    kf_naming_event(&naming);
    for (; *symbols != NULL; symbols++) {
        if (strcmp(*symbols, "|") == 0) {
            kf_naming_event(&naming);
        }
        else {
            kf_naming_symbol(&naming, *symbols, strlen(*symbols));
        }
    }
    kf_naming_finish(&naming, name);
    kf_name_to_hex(name, hex);
    return memcmp(hex, expected, KF_NAME_HEX_SIZE) == 0;
}

#define NAMED(unicode, expected, ...)                                 \
    CHECK(is_named((const char *const[]){__VA_ARGS__, NULL}, unicode, \
                   expected))

static void
test_known_names(void)
{
    NAMED(140, "b98534b32c1d7489d4ce1a48724aa65aeecbdba9", "a", "|", "b", "|",
          "c");
    NAMED(140, "e9e43f2309079f2843665ab773996d99489306d6", "a", "b", "|", "c");
    NAMED(140, "271339250f33fe945c5a24f7deb31f02ce16ddb5", "it's", "|", "x");
    NAMED(140, "d37f6983d3f7bc2ed4535ba8e1954555622c644c", "both ' and \"",
          "|", "x");
    NAMED(140, "b0b8f9c1d9b84777d8c1f0321a46670fb7de1d41", "back\\slash",
          "tab\t", "|", "nl\n");
    NAMED(140, "3c2866c22ceb4762096bc72630f4978c0db0fecd", "\u00e9", "|",
          "\u65e5\u672c");
    NAMED(140, "3955a27817d9fba68d8f784e944277de67df358a", "\u200b", "|",
          "\u00a0x");
    NAMED(140, "705f8600ce439b05516e97db7712d8e927b9eb44", "\U0001f600", "|",
          "");
}

#define TEXTS 40u
#define TEXT_MAX 600u

/* Of up to 20 bytes, now and then of more than the buffer; plain or not. */
static kf_text
random_text(random_source *random, char out[TEXT_MAX])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz '\"\\\n\x7f";
    uint32_t limit = random_below(random, 3) > 0 ? 26 : sizeof letters - 1;
    uint32_t size = random_below(random, 50) == 0 ? TEXT_MAX : 20;
    size = random_below(random, size);
    for (uint32_t i = 0; i < size; i++) {
        out[i] = letters[random_below(random, limit)];
    }
    return (kf_text){out, size};
}

/* A sequence at once has the name that its events and symbols have. */
static void
test_sequences_at_once(random_source *random)
{
    static char bytes[TEXTS][TEXT_MAX];
    for (int round = 0; round < 5000; round++) {
        kf_text texts[TEXTS];
        uint32_t ends[TEXTS];
        uint32_t n = 1 + random_below(random, TEXTS);
        uint32_t n_events = 0;
        uint8_t names[2][KF_NAME_SIZE];
        kf_naming at_once, one_by_one;
        kf_naming_start(&at_once, 140);
        kf_naming_start(&one_by_one, 140);
        for (uint32_t i = 0; i < n; i++) {
            texts[i] = random_text(random, bytes[i]);
            if (i == 0 || random_below(random, 2) == 0) {
                kf_naming_event(&one_by_one);
                n_events++;
            }
            ends[n_events - 1] = i + 1;
            kf_naming_symbol(&one_by_one, texts[i].bytes, texts[i].size);
        }
        kf_naming_events(&at_once, texts, ends, n_events);
        kf_naming_finish(&at_once, names[0]);
        kf_naming_finish(&one_by_one, names[1]);
        CHECK(memcmp(names[0], names[1], KF_NAME_SIZE) == 0);
    }
}

static bool
shows(uint32_t code_point, unsigned since)
{
    static const unsigned versions[] = {130, 140, 150, 151, 160};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (kf_unicode_is_printable(code_point, versions[i]) !=
            (versions[i] >= since)) {
            return false;
        }
    }
    return true;
}

static void
test_printable(void)
{
    enum {
        NEVER = 1000
    };
    CHECK(shows(' ', 0));
    CHECK(shows('~', 0));
    CHECK(shows(0, NEVER));
    CHECK(shows(0x1f, NEVER));
    CHECK(shows(0x7f, NEVER));
    CHECK(shows(0x80, NEVER));
    CHECK(shows(0xa0, NEVER));
    CHECK(shows(0xa1, 0));
    CHECK(shows(0xad, NEVER)); /* soft hyphen */
    CHECK(shows(0x3000, NEVER));
    CHECK(shows(0xd800, NEVER));
    CHECK(shows(0xfffd, 0));
    CHECK(shows(0xe000, NEVER)); /* private use */
    CHECK(shows(0xe01ef, 0));    /* the last variation selector */
    CHECK(shows(0xe01f0, NEVER));
    CHECK(shows(0x10ffff, NEVER));
    CHECK(shows(0x061d, 140));  /* Arabic end of text mark */
    CHECK(shows(0x1fae8, 150)); /* shaking face */
    CHECK(shows(0x2ffc, 151));  /* ideographic description character */
    CHECK(shows(0x1fae9, 160)); /* face with bags under eyes */
}

static void
test_versions_outside_the_table(void)
{
    CHECK(kf_unicode_is_printable(0xa1, 0));
    CHECK(kf_unicode_is_printable(0xa1, 121));
    CHECK(!kf_unicode_is_printable(0x061d, 121));
    CHECK(kf_unicode_is_printable(0x1fae9, 170));
}

static void
test_unicode_changes_the_name(void)
{
    NAMED(130, "2625267d8ace5ced4cb34a9a91bc18a640ec6a42", "\U0001fae9", "b");
    NAMED(160, "fed7bead1b2ca89e92b199dca22ac02c4697e908", "\U0001fae9", "b");
}

static void
test_hex(void)
{
    const char hex[] = "0123456789abcdef0123456789abcdef01234567";
    uint8_t name[KF_NAME_SIZE];
    uint8_t before[KF_NAME_SIZE];
    char back[KF_NAME_HEX_SIZE];
    CHECK(kf_name_from_hex(hex, KF_NAME_HEX_SIZE, name));
    CHECK(name[0] == 0x01 && name[7] == 0xef && name[19] == 0x67);
    kf_name_to_hex(name, back);
    CHECK(memcmp(back, hex, KF_NAME_HEX_SIZE) == 0);
    memcpy(before, name, sizeof name);
    CHECK(!kf_name_from_hex(hex, 39, name));
    CHECK(!kf_name_from_hex("", 0, name));
    for (int i = 0; i < KF_NAME_HEX_SIZE; i++) {
        for (const char *bad = "/:@AFG`g \n"; *bad != 0; bad++) {
            memcpy(back, hex, sizeof back);
            back[i] = *bad;
            CHECK(!kf_name_from_hex(back, sizeof back, name));
        }
    }
    CHECK(memcmp(before, name, sizeof name) == 0);
}

/* Both ways to hash, on any number of blocks; of the CPU that has both. */
static void
test_kernels(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    random_source random = random_start();
    uint8_t blocks[1 + 64 * 9];
    for (int round = 0; round < 20000 && kf_cpu_has_sha(); round++) {
        size_t n = random_below(&random, 10);
        size_t offset = random_below(&random, 2);
        uint32_t a[5], b[5];
        for (size_t i = 0; i < sizeof blocks; i++) {
            blocks[i] = (uint8_t)random_below(&random, 256);
        }
        for (int i = 0; i < 5; i++) {
            a[i] = b[i] = random_below(&random, UINT32_MAX);
        }
        kf_sha1_blocks_scalar(a, blocks + offset, n);
        kf_sha1_blocks_sha(b, blocks + offset, n);
        CHECK(memcmp(a, b, sizeof a) == 0);
    }
#endif
}

/* Texts of any number of blocks, none too, side by side. */
static void
test_lanes(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    static uint8_t texts[KF_SHA1_LANES][64 * 9];
    random_source random = random_start();
    for (int round = 0; round < 3000 && kf_cpu_has(KF_CPU_AVX512); round++) {
        _Alignas(64) uint32_t states[5][KF_SHA1_LANES];
        const uint8_t *given[KF_SHA1_LANES];
        uint8_t n_blocks[KF_SHA1_LANES];
        uint32_t alone[KF_SHA1_LANES][5];
        for (size_t lane = 0; lane < KF_SHA1_LANES; lane++) {
            given[lane] = texts[lane];
            n_blocks[lane] = (uint8_t)random_below(&random, 10);
            for (size_t i = 0; i < sizeof texts[lane]; i++) {
                texts[lane][i] = (uint8_t)random_below(&random, 256);
            }
            for (size_t i = 0; i < 5; i++) {
                states[i][lane] = random_below(&random, UINT32_MAX);
                alone[lane][i] = states[i][lane];
            }
            kf_sha1_blocks_scalar(alone[lane], texts[lane], n_blocks[lane]);
        }
        kf_sha1_lanes_avx512(states, given, n_blocks, 9);
        for (size_t lane = 0; lane < KF_SHA1_LANES; lane++) {
            for (size_t i = 0; i < 5; i++) {
                CHECK(states[i][lane] == alone[lane][i]);
            }
        }
    }
#endif
}

int
main(void)
{
    random_source random = random_start();
    test_kernels();
    test_lanes();
    test_known_names();
    test_sequences_at_once(&random);
    test_printable();
    test_versions_outside_the_table();
    test_unicode_changes_the_name();
    test_hex();
    return check_report();
}
