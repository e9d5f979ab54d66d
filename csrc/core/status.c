#include "kato_fast/status.h"

#include <stdarg.h>
#include <stdio.h>

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
