/* What values of KATO_FAST_CPU choose, and what is said of bad ones. */
#define _GNU_SOURCE

#include "kato_fast/cpu.h"

#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
same_text(const char *text, const char *expected)
{
    return expected == NULL ? text == NULL
                            : text != NULL && strcmp(text, expected) == 0;
}

/* In a child, since a process chooses once. */
static void
check_choice(const char *value, kf_cpu_level level, const char *error)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        setenv("KATO_FAST_CPU", value, 1);
        _exit(kf_cpu_choose() == level && same_text(kf_cpu_error(), error)
                  ? 0
                  : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
check_unknown(const char *name, kf_cpu_level best)
{
#if defined(__aarch64__)
    const char *good = "scalar or neon";
#else
    const char *good = "scalar, avx2 or avx512";
#endif
    char error[80];
    snprintf(error, sizeof error, "KATO_FAST_CPU must be %s, not %s", good,
             name);
    check_choice(name, best, error);
}

int
main(void)
{
    kf_cpu_level best = KF_CPU_SCALAR;
    for (int i = 0; i < KF_CPU_LEVELS; i++) {
        best = kf_cpu_has((kf_cpu_level)i) ? (kf_cpu_level)i : best;
    }
    check_choice("", best, NULL);
    check_choice("scalar", KF_CPU_SCALAR, NULL);
    check_unknown("sse9", best);
#if defined(__aarch64__)
    check_unknown("avx2", best);
    check_unknown("avx512", best);
    check_choice("neon", KF_CPU_NEON, NULL);
    return check_report();
#endif
    check_unknown("neon", best);
    for (int i = 0; i <= KF_CPU_AVX512; i++) {
        const char *name = kf_cpu_level_name((kf_cpu_level)i);
        char error[80];
        snprintf(error, sizeof error,
                 "KATO_FAST_CPU is %s, which this CPU does not have", name);
        if (kf_cpu_has((kf_cpu_level)i)) {
            check_choice(name, (kf_cpu_level)i, NULL);
        }
        else {
            check_choice(name, best, error);
        }
    }
    return check_report();
}
