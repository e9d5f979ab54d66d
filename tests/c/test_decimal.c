/* Known texts and roundings; tests/unit/test_decimal.py compares many more
 * with Python. */
#include "check.h"
#include "kato_fast/decimal.h"

#include <math.h>
#include <string.h>

static bool
is_written(double value, const char *expected)
{
    char text[KF_DECIMAL_MAX];
    size_t size = kf_decimal_write(value, text);
    return size == strlen(expected) && memcmp(text, expected, size) == 0;
}

static void
test_layout(void)
{
    CHECK(is_written(0.0, "0.0"));
    CHECK(is_written(-0.0, "-0.0"));
    CHECK(is_written(1.0, "1.0"));
    CHECK(is_written(-12.5, "-12.5"));
    CHECK(is_written(0.1, "0.1"));
    CHECK(is_written(0.001, "0.001"));
    CHECK(is_written(0.0001, "0.0001"));
    CHECK(is_written(0.00001, "1e-05"));
    CHECK(is_written(0.00012345, "0.00012345"));
    CHECK(is_written(0x1p-44, "5.684341886080802e-14"));
    CHECK(is_written(1e15, "1000000000000000.0"));
    CHECK(is_written(1e16, "1e+16"));
    CHECK(is_written(-1e100, "-1e+100"));
    CHECK(is_written(1.5e-9, "1.5e-09"));
    CHECK(is_written(123456789012345680.0, "1.2345678901234568e+17"));
    CHECK(is_written(9007199254740991.0, "9007199254740991.0"));
    CHECK(is_written(9007199254740992.0, "9007199254740992.0"));
    CHECK(is_written(9999999999999998.0, "9999999999999998.0"));
    CHECK(is_written(123456789012345.6, "123456789012345.6"));
}

static void
test_ends_of_the_range(void)
{
    CHECK(is_written(5e-324, "5e-324"));
    CHECK(is_written(-2.2250738585072014e-308, "-2.2250738585072014e-308"));
    CHECK(is_written(2.225073858507201e-308, "2.225073858507201e-308"));
    CHECK(is_written(1.7976931348623157e308, "1.7976931348623157e+308"));
    CHECK(is_written(9007199254740994.0, "9007199254740994.0"));
    CHECK(is_written(0x1p-1022, "2.2250738585072014e-308"));
    CHECK(is_written(9.5367431640625e-07, "9.5367431640625e-07"));
    CHECK(is_written(2e23, "2e+23"));
}

static void
test_integers(void)
{
    char text[KF_DECIMAL_UINT_MAX];
    uint64_t power = 1;
    for (size_t digits = 1; digits <= 20; digits++) {
        CHECK(kf_decimal_write_uint(power, text) == digits);
        CHECK(text[0] == '1');
        CHECK(digits == 1 || text[digits - 1] == '0');
        power *= 10;
    }
    CHECK(kf_decimal_write_uint(UINT64_MAX, text) == 20);
    CHECK(memcmp(text, "18446744073709551615", 20) == 0);
    CHECK(kf_decimal_write_uint(0, text) == 1 && text[0] == '0');
}

static bool
rounds_to(double value, double expected)
{
    double rounded = kf_decimal_round12(value);
    return rounded == expected && signbit(rounded) == signbit(expected);
}

static void
test_round12(void)
{
    CHECK(rounds_to(0.0, 0.0));
    CHECK(rounds_to(-0.0, -0.0));
    CHECK(rounds_to(1.0 / 3, 0.333333333333));
    CHECK(rounds_to(-2.0 / 3, -0.666666666667));
    CHECK(rounds_to(1e-20, 0.0));
    CHECK(rounds_to(-1e-20, -0.0));
    CHECK(rounds_to(5e-324, 0.0));
    CHECK(rounds_to(4.99e-13, 0.0));
    CHECK(rounds_to(5.01e-13, 1e-12));
    CHECK(rounds_to(0.1 + 0.2, 0.3));
}

static void
test_round12_ties(void)
{
    CHECK(rounds_to(0x1p-13, 0.000122070312));
    CHECK(rounds_to(0x3p-13, 0.000366210938));
    CHECK(rounds_to(0x1p-13 * 5, 0.000610351562));
    CHECK(rounds_to(-0x1p-13 * 5, -0.000610351562));
    CHECK(rounds_to(1 + 0x1p-13, 1.000122070312));
}

static void
test_round12_of_large_values(void)
{
    CHECK(rounds_to(8191.999999999999, 8191.999999999999));
    CHECK(rounds_to(8192.0, 8192.0));
    CHECK(rounds_to(8192.000000000002, 8192.000000000002));
    CHECK(rounds_to(0x1.fffffffffffffp12, 8191.999999999999));
    CHECK(rounds_to(1e300, 1e300));
    CHECK(rounds_to(-0x1p53, -0x1p53));
}

int
main(void)
{
    test_layout();
    test_ends_of_the_range();
    test_integers();
    test_round12();
    test_round12_ties();
    test_round12_of_large_values();
    return check_report();
}
