#include "kato_fast/cpu.h"

size_t
kf_cpu_features(const char **out, size_t most)
{
    size_t count = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (count < most && __builtin_cpu_supports("avx2")) {
        out[count++] = "avx2";
    }
    if (count < most && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        out[count++] = "avx512";
    }
#elif defined(__aarch64__)
    if (count < most) {
        out[count++] = "neon";
    }
#else
    (void)out;
    (void)most;
#endif
    return count;
}
