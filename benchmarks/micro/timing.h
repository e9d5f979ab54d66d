/* What the small programs share: processor time, sorting and refusals. The
 * including file defines PROGRAM, its name in messages. */
#ifndef KATO_FAST_BENCHMARKS_TIMING_H
#define KATO_FAST_BENCHMARKS_TIMING_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Nanoseconds of this thread's processor time. */
static inline double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* End the program where something is not good. */
static inline void
demand(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s: %s\n", PROGRAM, what);
        exit(1);
    }
}

static inline int
compare_times(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts n times, and returns the middle one; the first is the best. */
static inline double
median(double *times, size_t n)
{
    qsort(times, n, sizeof *times, compare_times);
    return times[n / 2];
}

#endif
