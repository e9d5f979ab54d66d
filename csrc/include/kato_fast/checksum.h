/* A checksum for large files: finds damage, at the speed of memory.
 *
 * Bytes are taken as 64-bit words in the machine's order, word i by lane
 * i % 8; those that are missing to a full 64 count as zeros, so zeros at the
 * end may go unseen. A lane's state and the next word are mixed by two odd
 * multiplications with a shift between them: for a given state the word
 * decides the result and the other way round, and the lanes are joined by
 * the same step. So every change within one word changes the sum; of other
 * damage about one in 2^64 goes unseen. Not a hash that keeps an enemy from
 * making another file with the same sum. A pure function. */
#ifndef KATO_FAST_CHECKSUM_H
#define KATO_FAST_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* bytes may be NULL where size is 0. */
uint64_t kf_checksum(const void *bytes, size_t size);

#endif
