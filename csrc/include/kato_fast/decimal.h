/* Doubles and decimal digits, exactly as Python has them.
 *
 * Pure functions; they do not look at the locale and are safe from any
 * thread. */
#ifndef KATO_FAST_DECIMAL_H
#define KATO_FAST_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* The longest text has 24 bytes: -2.2250738585072014e-308. The writer may
 * touch all of these. */
#define KF_DECIMAL_MAX 40
#define KF_DECIMAL_UINT_MAX 20 /* longest: 18446744073709551615 */

/* Write the digits of an integer. Returns the number of bytes, no NUL. */
size_t kf_decimal_write_uint(uint64_t value, char out[KF_DECIMAL_UINT_MAX]);

/* Write Python's repr of a finite double (shortest digits that read back,
 * "1.0", "1e+16", "1e-05" layout). Returns the number of bytes, no NUL; what
 * is behind them is undefined. */
size_t kf_decimal_write(double value, char out[KF_DECIMAL_MAX]);

/* Python's round(value, 12): correctly rounded, ties to even on the exact
 * binary value. Finite values only. */
double kf_decimal_round12(double value);

#endif
