/* ratio, matching_blocks, pattern_name, cpu_features, unlocked_seconds. */
#ifndef KFPY_FUNCTIONS_H
#define KFPY_FUNCTIONS_H

#include "module.h"

extern PyMethodDef kfpy_functions[];

#endif
