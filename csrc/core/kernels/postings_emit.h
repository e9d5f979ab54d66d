/* Set bits to numbers, for the kernels of x86-64. Included by them behind
 * their definition of TARGET. */

/* Write first + the numbers of the set bits; returns the end of them. Writes
 * up to 8 items more: out has room, since it holds no more items than there
 * are patterns before these. The end does not wait for the bytes before
 * it, so that words overlap. */
TARGET static inline uint16_t *
emit(const kf_set_bits *set_bits, uint64_t word, uint32_t first, uint16_t *out)
{
    uint16_t *end = out + __builtin_popcountll(word);
    __m128i base = _mm_set1_epi16((short)first);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(word >> (8 * i));
        __m128i bits = _mm_loadl_epi64((const __m128i *)set_bits[byte]);
        _mm_storeu_si128((__m128i *)out,
                         _mm_add_epi16(_mm_cvtepu8_epi16(bits), base));
        out += __builtin_popcount(byte);
        base = _mm_add_epi16(base, _mm_set1_epi16(8));
    }
    return end;
}
