#include "unlocked.h"

#include <stdatomic.h>
#include <time.h>

/* A counter of the process, not of a module: threads of several interpreters
 * may add to it. */
static _Atomic uint64_t unlocked_ns;

uint64_t
kfpy_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
kfpy_unlocked_since(uint64_t began)
{
    atomic_fetch_add_explicit(&unlocked_ns, kfpy_clock() - began,
                              memory_order_relaxed);
}

double
kfpy_unlocked_seconds(void)
{
    return (double)atomic_load_explicit(&unlocked_ns, memory_order_relaxed) /
           1e9;
}
