/* Answers questions about the C library line by line, so that the tests in
 * tests/unit can compare it with the interpreter that runs them.
 *
 *     oracle double           16 hex digits: a double's bits
 *                             -> its repr, and the bits of round12
 *     oracle printable 151    -> one line of 0 and 1, one for each code point
 *     oracle name 151         events as x61,x62|x63: hex of UTF-8
 *                             -> the name
 *     oracle json             x and hex of UTF-8, or a double as d and bits,
 *                             or i -5 or u 5
 *                             -> the bytes promised and the JSON text
 *     oracle bucket           the hex of a flag's name, then = and of a key
 *                             -> the bucket
 *     oracle cbor             x and hex, d and bits, u 5, a 5, m 5
 *                             -> the CBOR bytes in hex
 */
#define _GNU_SOURCE

#include "kato_fast/bucket.h"
#include "kato_fast/buffer.h"
#include "kato_fast/cbor.h"
#include "kato_fast/decimal.h"
#include "kato_fast/json.h"
#include "kato_fast/naming.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static double
parse_double(const char *hex)
{
    uint64_t bits = strtoull(hex, NULL, 16);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int
hex_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* Turn hex into bytes where it stands. Returns the first character that is
 * not hex. The bytes move to a block of their exact size, so that a read
 * behind them is seen by the address sanitizer. */
static char *
parse_bytes(char *hex, char **bytes, size_t *size)
{
    char *next = hex;
    size_t count = 0;
    while (hex_value(next[0]) >= 0) {
        hex[count++] = (char)(hex_value(next[0]) << 4 | hex_value(next[1]));
        next += 2;
    }
    *bytes = malloc(count != 0 ? count : 1);
    if (*bytes == NULL) {
        abort();
    }
    memcpy(*bytes, hex, count);
    *size = count;
    return next;
}

static void
answer_double(char *line)
{
    double value = parse_double(line);
    char *text = malloc(KF_DECIMAL_MAX);
    double rounded = kf_decimal_round12(value);
    uint64_t bits;
    if (text == NULL) {
        abort();
    }
    memcpy(&bits, &rounded, sizeof bits);
    printf("%.*s %016" PRIx64 "\n", (int)kf_decimal_write(value, text), text,
           bits);
    free(text);
}

static void
answer_printable(unsigned unicode)
{
    for (uint32_t code_point = 0; code_point < 0x110000; code_point++) {
        putchar(kf_unicode_is_printable(code_point, unicode) ? '1' : '0');
    }
    putchar('\n');
}

static void
answer_name(char *line, unsigned unicode)
{
    uint8_t name[KF_NAME_SIZE];
    char hex[KF_NAME_HEX_SIZE];
    kf_naming naming;
    kf_naming_start(&naming, unicode);
    kf_naming_event(&naming);
    for (char *next = line; *next != '\n'; next++) {
        char *bytes;
        size_t size;
        if (*next == '|') {
            kf_naming_event(&naming);
        }
        if (*next == 'x') {
            next = parse_bytes(next + 1, &bytes, &size) - 1;
            kf_naming_symbol(&naming, bytes, size);
            free(bytes);
        }
    }
    kf_naming_finish(&naming, name);
    kf_name_to_hex(name, hex);
    printf("%.*s\n", KF_NAME_HEX_SIZE, hex);
}

static void
answer_json(char *line, kf_buffer *buffer)
{
    char *bytes;
    size_t size;
    size_t promised = 0;
    switch (line[0]) {
    case 'x':
        parse_bytes(line + 1, &bytes, &size);
        promised = kf_json_string_size(bytes, size);
        kf_json_string(buffer, bytes, size);
        free(bytes);
        break;
    case 'd':
        kf_json_double(buffer, parse_double(line + 1));
        break;
    case 'i':
        kf_json_int(buffer, strtoll(line + 1, NULL, 10));
        break;
    case 'u':
        kf_json_uint(buffer, strtoull(line + 1, NULL, 10));
        break;
    }
    printf("%zu ", promised);
    fwrite(buffer->data, 1, buffer->size, stdout);
    putchar('\n');
}

static void
answer_cbor(char *line, kf_buffer *buffer)
{
    char *bytes;
    size_t size;
    switch (line[0]) {
    case 'x':
        parse_bytes(line + 1, &bytes, &size);
        kf_cbor_text(buffer, bytes, size);
        free(bytes);
        break;
    case 'd':
        kf_cbor_double(buffer, parse_double(line + 1));
        break;
    case 'u':
        kf_cbor_uint(buffer, strtoull(line + 1, NULL, 10));
        break;
    case 'a':
        kf_cbor_array(buffer, strtoull(line + 1, NULL, 10));
        break;
    case 'm':
        kf_cbor_map(buffer, strtoull(line + 1, NULL, 10));
        break;
    }
    for (size_t i = 0; i < buffer->size; i++) {
        printf("%02x", (unsigned char)buffer->data[i]);
    }
    putchar('\n');
}

static void
answer_bucket(char *line)
{
    char *flag, *key;
    size_t flag_size, key_size;
    char *next = parse_bytes(line, &flag, &flag_size);
    parse_bytes(next + 1, &key, &key_size);
    printf("%" PRIu32 "\n",
           kf_bucket(kf_bucket_salt(flag, flag_size), key, key_size));
    free(flag);
    free(key);
}

static int
answer(const char *topic, unsigned unicode, char *line)
{
    kf_buffer buffer;
    kf_buffer_init(&buffer, &kf_alloc_default);
    if (strcmp(topic, "double") == 0) {
        answer_double(line);
    }
    else if (strcmp(topic, "name") == 0) {
        answer_name(line, unicode);
    }
    else if (strcmp(topic, "json") == 0) {
        answer_json(line, &buffer);
    }
    else if (strcmp(topic, "cbor") == 0) {
        answer_cbor(line, &buffer);
    }
    else if (strcmp(topic, "bucket") == 0) {
        answer_bucket(line);
    }
    else {
        fprintf(stderr, "oracle: no such topic: %s\n", topic);
        return 2;
    }
    kf_buffer_free(&buffer);
    return 0;
}

int
main(int argc, char **argv)
{
    const char *topic = argc > 1 ? argv[1] : "";
    unsigned unicode = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    char *line = NULL;
    size_t capacity = 0;
    int status = 0;
    if (strcmp(topic, "printable") == 0) {
        answer_printable(unicode);
        return 0;
    }
    while (status == 0 && getline(&line, &capacity, stdin) > 0) {
        status = answer(topic, unicode, line);
    }
    free(line);
    return status;
}
