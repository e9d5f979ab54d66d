/* A pattern's name: SHA-1 over Python's repr of its events.
 *
 * The repr is fed to the hash piece by piece and never stored. Which code
 * points repr escapes depends on the interpreter's Unicode version; the
 * table knows 13.0 (Python 3.9, 3.10) to 16.0 (3.14). A kf_naming is a plain
 * value of one thread; nothing allocates, nothing fails. */
#ifndef KATO_FAST_NAMING_H
#define KATO_FAST_NAMING_H

#include "kato_fast/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The newest Unicode version of the table. */
#define KF_UNICODE_NEWEST 160u

#define KF_NAME_SIZE 20
#define KF_NAME_HEX_SIZE 40

/* Room for what is not hashed yet: a piece fits beside less than a block. */
#define KF_NAMING_BUFFER ((size_t)512)
#define KF_NAMING_PIECE (KF_NAMING_BUFFER - 64)

typedef struct {
    uint32_t state[5];
    void (*blocks)(uint32_t state[5], const uint8_t *blocks, size_t n);
    uint64_t size; /* bytes hashed so far */
    size_t used;   /* of the buffer */
    uint8_t buffer[KF_NAMING_BUFFER];
    unsigned unicode; /* major * 10 + minor, e.g. 151 for 15.1 */
    bool in_event;
    bool first_symbol;
} kf_naming;

/* Begin the repr of a list of events. unicode: see above; versions outside
 * the table's range count as the nearest that it knows. */
void kf_naming_start(kf_naming *naming, unsigned unicode);

/* Begin the next event (a list). */
void kf_naming_event(kf_naming *naming);

/* The next symbol of the event: size bytes of valid UTF-8, borrowed. */
void kf_naming_symbol(kf_naming *naming, const char *utf8, size_t size);

/* The next events: their symbols, and of each the number of symbols up to its
 * end. */
void kf_naming_events(kf_naming *naming, const kf_text *symbols,
                      const uint32_t *ends, uint32_t n_events);

/* Close the lists and write the digest. */
void kf_naming_finish(kf_naming *naming, uint8_t name[KF_NAME_SIZE]);

/* 40 lower-case hex digits, no NUL. */
void kf_name_to_hex(const uint8_t name[KF_NAME_SIZE],
                    char hex[KF_NAME_HEX_SIZE]);

/* False unless hex is 40 lower-case hex digits. */
bool kf_name_from_hex(const char *hex, size_t size,
                      uint8_t name[KF_NAME_SIZE]);

/* Whether repr of that Unicode version shows the code point as it is. */
bool kf_unicode_is_printable(uint32_t code_point, unsigned unicode);

#endif
