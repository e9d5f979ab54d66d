/* Result codes and the error struct.
 *
 * Every function that can fail returns a kf_status, gives its values through
 * out-params that it leaves untouched on failure, and takes a nullable
 * kf_error last. Pure values; safe from any thread. */
#ifndef KATO_FAST_STATUS_H
#define KATO_FAST_STATUS_H

#include <stddef.h>

#if defined(__GNUC__)
#define KF_MUST_USE __attribute__((warn_unused_result))
#define KF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define KF_MUST_USE
#define KF_PRINTF(fmt, args)
#endif

typedef enum {
    KF_OK = 0,
    KF_NO_MEMORY, /* an allocation failed; nothing was changed */
    KF_INVALID,   /* the input breaks a rule that the message names */
    KF_TOO_LARGE, /* the input is over a documented limit */
    KF_SYSTEM,    /* the operating system refused; err->system says why */
    KF_STOPPED    /* the caller's own callback asked to stop */
} kf_status;

typedef struct {
    kf_status code;
    int system;        /* an errno; only with KF_SYSTEM */
    char message[256]; /* NUL-terminated, cut where it would not fit */
} kf_error;

/* Fill err (may be NULL) and return code, so that callers can write
 * `return kf_fail(err, KF_INVALID, "...")`. */
kf_status kf_fail(kf_error *err, kf_status code, const char *format, ...)
    KF_PRINTF(3, 4);

/* kf_fail(err, KF_NO_MEMORY, "out of memory"). */
kf_status kf_no_memory(kf_error *err);

/* KF_SYSTEM with errno as it is now; what: the call that failed. */
kf_status kf_system_error(kf_error *err, const char *what);

#endif
