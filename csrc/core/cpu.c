#include "kato_fast/cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

#if defined(__aarch64__) && defined(__GNUC__)
#define IS_AARCH64 1
#define GOOD_VALUES "scalar or neon"
#else
#define IS_AARCH64 0
#define GOOD_VALUES "scalar, avx2 or avx512"
#endif

static const char *const level_names[KF_CPU_LEVELS] = {"scalar", "avx2",
                                                       "avx512", "neon"};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static kf_cpu_level chosen;
static bool sha;          /* asked once: the instruction that tells is slow */
static char problem[128]; /* empty: none */

#if defined(__x86_64__) && defined(__GNUC__)
/* Not every compiler's __builtin_cpu_supports knows the name. */
static bool
has_lzcnt(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(0x80000001u, &a, &b, &c, &d) != 0 && (c & bit_LZCNT);
}

static bool
has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && has_lzcnt();
}

static bool
has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
/* __builtin_cpu_supports knows the name only in newer compilers. */
static bool
has_sha(void)
{
    unsigned a, b, c, d;
    __builtin_cpu_init();
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
           ((b >> 29) & 1) != 0 && __builtin_cpu_supports("ssse3") &&
           __builtin_cpu_supports("sse4.1");
}
#else
static bool
has_avx2(void)
{
    return false;
}

static bool
has_sha(void)
{
    return false;
}

static bool
has_avx512(void)
{
    return false;
}
#endif

size_t
kf_cpu_features(const char **out, size_t most)
{
    size_t count = 0;
    if (count < most && has_avx2()) {
        out[count++] = "avx2";
    }
    if (count < most && has_avx512()) {
        out[count++] = "avx512";
    }
    if (count < most && IS_AARCH64) {
        out[count++] = "neon";
    }
    return count;
}

bool
kf_cpu_has(kf_cpu_level level)
{
    switch (level) {
    case KF_CPU_SCALAR:
        return true;
    case KF_CPU_AVX2:
        return has_avx2();
    case KF_CPU_AVX512:
        return has_avx512();
    case KF_CPU_NEON:
        return IS_AARCH64;
    }
    return false;
}

const char *
kf_cpu_level_name(kf_cpu_level level)
{
    return level_names[level];
}

static kf_cpu_level
highest_level(void)
{
    kf_cpu_level level = KF_CPU_SCALAR;
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        level = kf_cpu_has((kf_cpu_level)i) ? (kf_cpu_level)i : level;
    }
    return level;
}

/* Whether another CPU of this kind may have it. */
static bool
is_of_this_kind(kf_cpu_level level)
{
    return level == KF_CPU_SCALAR || (level == KF_CPU_NEON) == IS_AARCH64;
}

static void
force_level(const char *name)
{
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        if (strcmp(name, level_names[i]) != 0 ||
            !is_of_this_kind((kf_cpu_level)i)) {
            continue;
        }
        if (kf_cpu_has((kf_cpu_level)i)) {
            chosen = (kf_cpu_level)i;
        }
        else {
            snprintf(problem, sizeof problem,
                     "KATO_FAST_CPU is %s, which this CPU does not have",
                     name);
        }
        return;
    }
    snprintf(problem, sizeof problem,
             "KATO_FAST_CPU must be " GOOD_VALUES ", not %.40s", name);
}

static void
read_environment(void)
{
    const char *name = getenv("KATO_FAST_CPU");
    chosen = highest_level();
    sha = has_sha();
    if (name != NULL && name[0] != '\0') {
        force_level(name);
    }
}

kf_cpu_level
kf_cpu_choose(void)
{
    pthread_once(&once, read_environment);
    return chosen;
}

bool
kf_cpu_has_sha(void)
{
    return kf_cpu_choose() != KF_CPU_SCALAR && sha;
}

const char *
kf_cpu_error(void)
{
    pthread_once(&once, read_environment);
    return problem[0] != '\0' ? problem : NULL;
}
