"""The C printer and rounder of doubles against this interpreter's repr and round."""

from __future__ import annotations

import math
import struct

HARD = [
    0.0,
    1.0,
    10.0,
    0.1,
    1e15,
    1e16,
    1e17,
    1e22,
    1e23,
    9007199254740991.0,
    9007199254740992.0,
    9007199254740993.0,
    9999999999999998.0,
    123456789012345680.0,
    0.001,
    0.0001,
    0.00001,
    0.00012345,
    2.0**-44,
    5e-324,
    2.2250738585072014e-308,
    2.225073858507201e-308,
    1.7976931348623157e308,
    9.5367431640625e-07,
    8.41e21,
    2.0**63,
    2.0**64,
    8192.0,
    8191.999999999999,
    8192.000000000002,
    9007.199254740992,
    16383.999999999998,
    16384.0,
    0.5e-12,
    1.5e-12,
    2.5e-12,
    4.9999999999999e-13,
    5.0000000000001e-13,
    1e-20,
    1e300,
    2.0**52,
    2.0**53,
]


def bits(value: float) -> str:
    return struct.pack(">d", value).hex()


def compare(ask_c, values):
    """Each value, its negative and its neighbours; repr and round12 in one go."""
    answers = ask_c([bits(value) for value in values], "double")
    assert len(answers) == len(values)
    for value, answer in zip(values, answers):
        assert answer == f"{value!r} {bits(round(value, 12))}", f"of {value!r}, bits {bits(value)}"


def neighbours(value: float) -> list[float]:
    number = struct.unpack(">q", struct.pack(">d", value))[0]
    near = [struct.unpack(">d", struct.pack(">q", max(number + step, 0)))[0] for step in (-1, 0, 1)]
    return [sign * x for x in near if math.isfinite(x) for sign in (1, -1)]


def test_hard_cases(ask_c):
    compare(ask_c, [near for value in HARD for near in neighbours(value)])


def test_every_power_of_two_and_ten(ask_c):
    powers = [math.ldexp(1.0, e) for e in range(-1074, 1024)] + [float(f"1e{e}") for e in range(-323, 309)]
    compare(ask_c, [near for value in powers for near in neighbours(value)])


def test_random_bit_patterns(ask_c, rng, cases):
    values = (struct.unpack(">d", rng.getrandbits(64).to_bytes(8, "big"))[0] for _ in range(cases))
    compare(ask_c, [value for value in values if math.isfinite(value)])


def test_random_magnitudes(ask_c, rng, cases):
    compare(ask_c, [rng.uniform(-10, 10) * 10.0 ** rng.randint(-16, 17) for _ in range(cases)])


def test_few_digits(ask_c, rng, cases):
    """What rounding leaves behind: short decimals, whole numbers, ratios."""
    makers = [
        lambda: round(rng.random(), rng.randint(1, 16)),
        lambda: rng.randint(-(10**17), 10**17) / 1.0,
        lambda: rng.randint(0, 100) / rng.randint(1, 100),
        lambda: float(f"{rng.randint(1, 9999)}e{rng.randint(-320, 300)}"),
    ]
    compare(ask_c, [makers[index % 4]() for index in range(cases)])


def test_twelve_decimals(ask_c, rng, cases):
    """The printer has a shorter way for these up to 1000; the neighbours must not take it."""
    counts = [rng.randrange(10 ** rng.randint(1, 16)) for _ in range(cases // 6)]
    compare(ask_c, [near for count in counts for near in neighbours(count / 1e12)])


def test_round12_ties(ask_c, rng, cases):
    """Exact ties at the thirteenth decimal need 2**13 to divide the denominator, and nothing below it."""
    ties = [rng.randrange(1, 2**26, 2) / 2.0**13 for _ in range(cases // 4)]
    assert all(float(value * 10**12 % 1) == 0.5 for value in ties[:100] if value < 1)
    near_ties = [(rng.randrange(10 ** rng.randint(1, 16)) + 0.5) / 1e12 for _ in range(cases // 4)]
    compare(ask_c, [sign * value for value in ties for sign in (1, -1)])
    compare(ask_c, [near for value in near_ties for near in neighbours(value)])


def test_round12_near_its_limits(ask_c, rng, cases):
    """Where the quotient stops fitting into a double, and where rounding stops to change anything."""
    limits = [8192.0, 2**53 / 1e12, 16384.0, 4096.0, 2.0**52, 2.0**53]
    compare(ask_c, [rng.choice(limits) * (1 + rng.uniform(-1, 1) * 10.0 ** rng.randint(-15, -1)) for _ in range(cases)])
