/* The rounds of SHA-1, FIPS 180-4, section 6.1, on words or vectors of
 * words. SCHEDULED(t) is word t of the message schedule; who includes this
 * says how to get it. a to e are variables of the state. */
#ifndef KATO_FAST_KERNELS_NAMING_ROUNDS_H
#define KATO_FAST_KERNELS_NAMING_ROUNDS_H

#define ROTATED(x, n) (((x) << (n)) | ((x) >> (32 - (n))))

#define CHOOSE(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d) ((b) ^ (c) ^ (d))
#define MAJORITY(b, c, d) (((b) & (c)) | ((d) & ((b) | (c))))

#define ROUND(f, k, t, a, b, c, d, e)        \
    do {                                     \
        (e) += (k) + SCHEDULED(t);           \
        (e) += f(b, c, d) + ROTATED((a), 5); \
        (b) = ROTATED((b), 30);              \
    } while (0)

/* Unrolled, so that variables change places by name only and the ring lives
 * in registers as far as they last: twice as fast as loops. */
#define FIVE_ROUNDS(f, k, t)             \
    ROUND(f, k, (t) + 0, a, b, c, d, e); \
    ROUND(f, k, (t) + 1, e, a, b, c, d); \
    ROUND(f, k, (t) + 2, d, e, a, b, c); \
    ROUND(f, k, (t) + 3, c, d, e, a, b); \
    ROUND(f, k, (t) + 4, b, c, d, e, a)

#define TWENTY_ROUNDS(f, k, t)   \
    FIVE_ROUNDS(f, k, (t) + 0);  \
    FIVE_ROUNDS(f, k, (t) + 5);  \
    FIVE_ROUNDS(f, k, (t) + 10); \
    FIVE_ROUNDS(f, k, (t) + 15)

#define EIGHTY_ROUNDS                             \
    do {                                          \
        TWENTY_ROUNDS(CHOOSE, 0x5a827999u, 0);    \
        TWENTY_ROUNDS(PARITY, 0x6ed9eba1u, 20);   \
        TWENTY_ROUNDS(MAJORITY, 0x8f1bbcdcu, 40); \
        TWENTY_ROUNDS(PARITY, 0xca62c1d6u, 60);   \
    } while (0)

#endif
