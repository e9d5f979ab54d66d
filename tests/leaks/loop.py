"""loop.py CALL: makes the call again and again; ends with 1 and a text where references or memory grow."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from typing import Callable

import calls

#: Per call made: less than half a reference, a tenth of a block, eight bytes from malloc.
LIMITS = {"references": 0.5, "blocks": 0.1, "bytes": 8.0, "resident": 8.0}
#: The samples themselves, and pages that the allocators keep.
SLACK = {"references": 0, "blocks": 100, "bytes": 4096, "resident": 1 << 20}
#: Python's own registers of abstract classes keep some dozen blocks for classes that are gone; a module has thousands.
HEAVY_FACTOR = 100
SAMPLES = 4
PAGE = resource.getpagesize()


class Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def bytes_in_use() -> int:
    """What malloc has given out, large blocks too; 0 where the C library does not tell."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE


def watched() -> dict[str, object]:
    objects: dict[str, object] = {kind.__name__: kind for kind in calls.exported_types()}
    return {**objects, "None": None, "True": True, "False": False, "core": calls.core}


def sample() -> dict[str, int]:
    gc.collect()
    counts = {f"references to {name}": sys.getrefcount(value) for name, value in watched().items()}
    return {**counts, "blocks": sys.getallocatedblocks(), "bytes": bytes_in_use(), "resident memory": resident()}


def limit(what: str, times: int, factor: int) -> float:
    kind = what.split()[0]
    return LIMITS[kind] * times * factor + SLACK[kind]


def measure(repeat: Callable[[], None]) -> list[dict[str, int]]:
    samples = []
    for _ in range(SAMPLES):
        repeat()
        samples.append(sample())
    return samples


def grown(call: Callable, times: int, factor: int) -> list[str]:
    """What is larger than it ever was, by more than the limit: memory that comes and goes is no leak."""
    subject = calls.Subject()

    def repeat(count: int = times // SAMPLES + 1) -> None:
        for _ in range(count):
            call(subject)

    before = measure(repeat)
    repeat(times)
    after = measure(repeat)
    out = []
    for what in before[0]:
        most, least = max(sample[what] for sample in before), min(sample[what] for sample in after)
        if least - most > limit(what, times, factor):
            out.append(f"{what}: {most} before, {least} after {times} calls")
    return out


def main(name: str) -> int:
    heavy = name in calls.HEAVY
    times = 60 if heavy else 200 if name in calls.REFUSED else 2000
    call, factor = {**calls.CALLS, **calls.LEAKS}[name], HEAVY_FACTOR if heavy else 1
    leaks = grown(call, times, factor) and grown(call, times, factor)  # a leak shows every time
    print("\n".join(leaks) or f"{name}: flat over {times} calls")
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
