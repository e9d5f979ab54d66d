/* Sections without the GIL, and how long they take altogether.
 * KFPY_BEGIN_UNLOCKED and KFPY_END_UNLOCKED stand where the interpreter's
 * ALLOW_THREADS would. The time is that of the section itself, not that of
 * waiting for the GIL afterwards. The sum is one of the process: sections of
 * several threads add up. Safe from any thread. */
#ifndef KFPY_UNLOCKED_H
#define KFPY_UNLOCKED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* Nanoseconds of a clock that does not go back. */
uint64_t kfpy_clock(void);

/* Count a section that began then and ends now. */
void kfpy_unlocked_since(uint64_t began);

/* All sections so far, in seconds. */
double kfpy_unlocked_seconds(void);

#define KFPY_BEGIN_UNLOCKED                 \
    {                                       \
        uint64_t kfpy_began = kfpy_clock(); \
        Py_BEGIN_ALLOW_THREADS

#define KFPY_END_UNLOCKED            \
    kfpy_unlocked_since(kfpy_began); \
    Py_END_ALLOW_THREADS             \
    }

#endif
