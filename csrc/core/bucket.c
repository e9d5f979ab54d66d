#include "kato_fast/bucket.h"

/* CRC-32 as in zlib, reflected, four bits at a time. */
static const uint32_t crc_of_four_bits[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static uint32_t
crc32_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ crc_of_four_bits[crc & 15];
        crc = crc >> 4 ^ crc_of_four_bits[crc & 15];
    }
    return ~crc;
}

uint64_t
kf_bucket_salt(const char *flag, size_t size)
{
    uint64_t value = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        value = (value ^ (unsigned char)flag[i]) * 0x100000001b3u;
    }
    return value;
}

/* The checksum is linear in the key: two rounds of multiplication make the
 * flags independent. */
uint32_t
kf_bucket(uint64_t salt, const void *key, size_t size)
{
    uint64_t mixed = (crc32_of(key, size) + salt) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    mixed = (mixed ^ mixed >> 32) & 0xffffffffu;
    return (uint32_t)(mixed * KF_BUCKETS >> 32);
}
