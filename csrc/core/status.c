#include "kato_fast/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

kf_status
kf_fail(kf_error *err, kf_status code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        err->code = code;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return code;
}

kf_status
kf_no_memory(kf_error *err)
{
    return kf_fail(err, KF_NO_MEMORY, "out of memory");
}

kf_status
kf_system_error(kf_error *err, const char *what)
{
    int system = errno;
    if (err != NULL) {
        err->system = system;
    }
    return kf_fail(err, KF_SYSTEM, "%s: %s", what, strerror(system));
}
