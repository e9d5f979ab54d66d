/* Predictions as bytes: a result written by hand, and no memory at any
 * append. The parity tests compare the bytes of many more. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/writer.h"

#include <string.h>

static kf_predictions *
example(void)
{
    kf_emotive item = {{"j\"y", 3}, 0.5};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives;
    kf_knowledge *knowledge = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_predictions *predictions;
    sequence state;
    CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &emotives, NULL) ==
          KF_OK);
    CHECK(sequence_learn(knowledge, "a|bx|\"", emotives) == KF_OK);
    sequence_read(&state, "bn");
    CHECK(kf_predict(knowledge, &(kf_asked){.texts = state.symbols, .m = 2},
                     0.1, 10, &predictions, NULL) == KF_OK);
    kf_emotives_release(emotives);
    kf_knowledge_free(knowledge);
    return predictions;
}

static bool
holds(kf_buffer *buffer, const char *expected)
{
    bool same = !buffer->failed && buffer->size == strlen(expected) &&
                memcmp(buffer->data, expected, buffer->size) == 0;
    if (!same) {
        fprintf(stderr, "%.*s\n", (int)buffer->size, buffer->data);
    }
    kf_buffer_free(buffer);
    return same;
}

/* Up to the first field that takes a logarithm. */
static const char beginning[] =
    "[{\"type\":\"prototypical\","
    "\"name\":\"a62db4fcb85c6a1e3b17a9f9fda8b48fce3b4e23\","
    "\"frequency\":1,\"emotives\":{\"j\\\"y\":0.5},\"matches\":[\"b\"],"
    "\"past\":[[\"a\"]],\"present\":[[\"b\",\"x\"]],\"missing\":[\"x\"],"
    "\"extras\":[\"n\"],\"potential\":0.1111111111111111,\"evidence\":0.25,"
    "\"similarity\":0.3333333333333333,\"fragmentation\":0.0,"
    "\"snr\":0.3333333333333333,\"entropy\":1.0,\"hamiltonian\":0.5,"
    "\"grand_hamiltonian\":0.5,\"confluence\":0.9375,"
    "\"predictive_information\":0.3333333333333333,"
    "\"sequence\":[[\"a\"],[\"b\",\"x\"],[\"\\\"\"]],"
    "\"future\":[[\"\\\"\"]],\"confidence\":0.5,\"itfdf_similarity\":";

static const char ending[] =
    ",\"pattern_probability\":1.0,\"weighted_strength\":0.3333333333333333";

static const char with_name[] =
    ",\"pattern_name\":\"PTRN|a62db4fcb85c6a1e3b17a9f9fda8b48fce3b4e23\"}]";

static void
check_json(const kf_predictions *predictions, bool pattern_names,
           const char *last)
{
    kf_buffer buffer;
    size_t first = strlen(beginning);
    size_t rest = strlen(ending);
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_write_predictions_json(&buffer, predictions, pattern_names);
    CHECK(!buffer.failed && buffer.size > first + rest + strlen(last));
    if (!CHECK(memcmp(buffer.data, beginning, first) == 0)) {
        fprintf(stderr, "%.*s\n", (int)buffer.size, buffer.data);
    }
    CHECK(memcmp(buffer.data + buffer.size - strlen(last), last,
                 strlen(last)) == 0);
    CHECK(memcmp(buffer.data + buffer.size - strlen(last) - rest, ending,
                 rest) == 0);
    kf_buffer_free(&buffer);
}

static void
test_json(void)
{
    kf_predictions *predictions = example();
    kf_buffer buffer;
    check_json(predictions, false, "}]");
    check_json(predictions, true, with_name);
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_write_futures_json(&buffer, predictions);
    CHECK(holds(&buffer,
                "[{\"future\":[[\"\\\"\"]],\"aggregate_potential\":1.0,"
                "\"supporting_patterns\":1,"
                "\"total_weighted_frequency\":0.3333333333333333}]"));
    kf_predictions_free(predictions);
}

/* An array of one map of 25 pairs, the first "type": "prototypical", the
 * last value a double. */
static void
test_cbor(void)
{
    static const char head[] =
        "\x81\xb8\x19\x64type\x6cprototypical\x64name\x78\x28";
    static const char tail[] =
        "\x71weighted_strength\xfb\x3f\xd5\x55\x55\x55\x55\x55\x55";
    kf_predictions *predictions = example();
    kf_buffer buffer;
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_write_predictions_cbor(&buffer, predictions, false);
    CHECK(!buffer.failed && buffer.size > sizeof head + sizeof tail);
    CHECK(memcmp(buffer.data, head, sizeof head - 1) == 0);
    CHECK(memcmp(buffer.data + buffer.size - (sizeof tail - 1), tail,
                 sizeof tail - 1) == 0);
    kf_buffer_free(&buffer);
    kf_predictions_free(predictions);
}

static void
test_nothing(void)
{
    kf_knowledge *knowledge = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_predictions *none;
    kf_buffer buffer;
    CHECK(kf_predict(knowledge, &(kf_asked){.texts = NULL, .m = 0}, 0.1, 10,
                     &none, NULL) == KF_OK);
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_write_predictions_json(&buffer, none, true);
    CHECK(holds(&buffer, "[]"));
    kf_write_futures_json(&buffer, none);
    CHECK(holds(&buffer, "[]"));
    kf_write_predictions_cbor(&buffer, none, false);
    CHECK(holds(&buffer, "\x80"));
    kf_predictions_free(none);
    kf_knowledge_free(knowledge);
}

/* A buffer of another allocator than the result's. */
static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_predictions *predictions = example();
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_buffer buffer;
        kf_buffer_init(&buffer, &alloc);
        kf_write_predictions_json(&buffer, predictions, true);
        kf_write_predictions_cbor(&buffer, predictions, false);
        kf_write_futures_json(&buffer, predictions);
        done = !buffer.failed;
        failures += !done;
        kf_buffer_free(&buffer);
    }
    CHECK(failures > 5);
    kf_predictions_free(predictions);
}

/* The order of futures (2) is made by the writer that is first to ask; it
 * reads the patterns out into room of its own. */
static void
test_no_memory_for_the_order(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_predictions *predictions = example();
        kf_buffer buffer;
        predictions->alloc = alloc; /* of what is made to write */
        kf_buffer_init(&buffer, &kf_alloc_default);
        kf_write_futures_json(&buffer, predictions);
        done = !buffer.failed;
        failures += !done;
        CHECK(done || buffer.size == 0);
        kf_buffer_free(&buffer);
        kf_release(&alloc, predictions->future_order);
        predictions->future_order = NULL;
        predictions->alloc = kf_alloc_default;
        kf_predictions_free(predictions);
    }
    CHECK(failures == 3);
}

int
main(void)
{
    test_json();
    test_cbor();
    test_nothing();
    test_no_memory();
    test_no_memory_for_the_order();
    return check_report();
}
