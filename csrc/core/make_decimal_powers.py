"""Write decimal_powers.h: the powers of ten that printing a double multiplies by, as 128-bit significands.

Run as: python csrc/core/make_decimal_powers.py > csrc/core/decimal_powers.h
"""

from __future__ import annotations

# -k of the smallest exponents: 10**k is just at or below 2**q, q from -1074 (subnormal) to 971.
FIRST, LAST = -292, 324

HEADER = """\
/* g(k) = floor(10**k / 2**r) + 1, with r such that g(k) has 128 bits, for k
 * from {first} to {last}; high and low half. Schubfach's table, with 128 bits in
 * place of 126. Written by make_decimal_powers.py, included by decimal.c. */
#ifndef KATO_FAST_DECIMAL_POWERS_H
#define KATO_FAST_DECIMAL_POWERS_H

#include <stdint.h>

#define KF_DECIMAL_POWER_FIRST ({first})

static const uint64_t kf_decimal_powers[][2] = {{
"""

FOOTER = """\
};

#endif
"""


def significand(k: int) -> int:
    """Exact, by integers of any size."""
    if k >= 0:
        power = 10**k
        shift = power.bit_length() - 128
        floor = power >> shift if shift >= 0 else power << -shift
    else:
        power = 10**-k
        shift = power.bit_length() + 127
        floor = (1 << shift) // power
    assert floor.bit_length() == 128
    return floor + 1


def main() -> None:
    print(HEADER.format(first=FIRST, last=LAST), end="")
    for k in range(FIRST, LAST + 1):
        g = significand(k)
        print(f"    {{0x{g >> 64:016x}u, 0x{g & (1 << 64) - 1:016x}u}},")
    print(FOOTER, end="")


if __name__ == "__main__":
    main()
