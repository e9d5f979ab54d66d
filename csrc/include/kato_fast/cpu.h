/* What this CPU can do, and which kernels run on it. Asked at run time; safe
 * from any thread.
 *
 * The environment variable KATO_FAST_CPU=scalar|avx2|avx512, on aarch64
 * scalar|neon, forces a level. It is read once, when first asked for. */
#ifndef KATO_FAST_CPU_H
#define KATO_FAST_CPU_H

#include <stdbool.h>
#include <stddef.h>

/* Kernels by what they need. A level of x86-64 includes the ones before it. */
typedef enum {
    KF_CPU_SCALAR, /* plain C, any CPU */
    KF_CPU_AVX2,   /* AVX2, BMI1, BMI2, LZCNT, POPCNT */
    KF_CPU_AVX512, /* and AVX-512 F, BW, VL */
    KF_CPU_NEON    /* any aarch64 */
} kf_cpu_level;

#define KF_CPU_LEVELS 4

/* Names of instruction sets that the engine knows of and the CPU has, for
 * reports: "avx2", "avx512" and so on. out has room for `most` constant
 * strings. Returns how many there are. */
size_t kf_cpu_features(const char **out, size_t most);

/* Whether this CPU, and this build, can run the level's kernels. */
bool kf_cpu_has(kf_cpu_level level);

/* The level to use: the highest the CPU has, or the one that KATO_FAST_CPU
 * forces. */
kf_cpu_level kf_cpu_choose(void);

/* Whether to hash with the SHA extensions of x86: the CPU has them, and
 * KATO_FAST_CPU does not ask for plain C. */
bool kf_cpu_has_sha(void);

/* "scalar", "avx2", "avx512" or "neon". */
const char *kf_cpu_level_name(kf_cpu_level level);

/* What is wrong with KATO_FAST_CPU, NULL if nothing is; kf_cpu_choose takes
 * no notice of a bad value, so whoever starts the engine asks here. */
const char *kf_cpu_error(void);

#endif
