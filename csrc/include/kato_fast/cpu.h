/* What this CPU can do, asked at run time. Pure; safe from any thread. */
#ifndef KATO_FAST_CPU_H
#define KATO_FAST_CPU_H

#include <stddef.h>

/* Names of instruction sets that the engine knows of and the CPU has, for
 * reports: "avx2", "avx512" and so on. out has room for `most` constant
 * strings. Returns how many there are. */
size_t kf_cpu_features(const char **out, size_t most);

#endif
