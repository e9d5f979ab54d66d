/* CPU features: known names, no more than there is room for. */
#include "check.h"

#include "kato_fast/cpu.h"

#include <string.h>

static bool
is_known(const char *name)
{
    return strcmp(name, "avx2") == 0 || strcmp(name, "avx512") == 0 ||
           strcmp(name, "neon") == 0;
}

int
main(void)
{
    const char *all[8] = {NULL};
    size_t count = kf_cpu_features(all, 8);
    CHECK(count <= 3);
    for (size_t i = 0; i < count; i++) {
        CHECK(is_known(all[i]));
    }
    for (size_t most = 0; most <= count; most++) {
        const char *some[8] = {NULL};
        CHECK(kf_cpu_features(some, most) == most);
        CHECK(some[most] == NULL);
    }
    return check_report();
}
