/* Whether bytes from outside are what the rest of the library takes for
 * granted: valid UTF-8. A pure function. */
#ifndef KATO_FAST_UTF8_H
#define KATO_FAST_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Table 3-7 of the Unicode Standard: shortest forms only, no surrogates,
 * nothing above U+10FFFF. */
bool kf_utf8_is_valid(const char *bytes, size_t size);

#endif
