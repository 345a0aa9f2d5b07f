/* UUIDs of version 5, whose RFC asks for SHA-1, and digests that only tell values of one run apart. */

#include "values.h"

typedef struct {
    uint32_t state[5];
    unsigned char block[64];
    uint64_t size;
} Sha1;

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

/* RFC 3174, section 6.1. */
static void hash_block(Sha1 *sha1) {
    uint32_t words[80], a = sha1->state[0], b = sha1->state[1], c = sha1->state[2], d = sha1->state[3], e = sha1->state[4];
    for (int index = 0; index < 16; index++) {
        const unsigned char *at = sha1->block + 4 * index;
        words[index] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int index = 16; index < 80; index++) {
        words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1);
    }
    for (int index = 0; index < 80; index++) {
        uint32_t mixed, constant;
        if (index < 20) {
            mixed = (b & c) | (~b & d);
            constant = 0x5A827999;
        } else if (index < 40) {
            mixed = b ^ c ^ d;
            constant = 0x6ED9EBA1;
        } else if (index < 60) {
            mixed = (b & c) | (b & d) | (c & d);
            constant = 0x8F1BBCDC;
        } else {
            mixed = b ^ c ^ d;
            constant = 0xCA62C1D6;
        }
        uint32_t next = rotated(a, 5) + mixed + e + words[index] + constant;
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    sha1->state[0] += a;
    sha1->state[1] += b;
    sha1->state[2] += c;
    sha1->state[3] += d;
    sha1->state[4] += e;
}

static void add(Sha1 *sha1, const unsigned char *bytes, size_t size) {
    for (size_t at = 0; at < size; at++) {
        sha1->block[sha1->size++ % 64] = bytes[at];
        if (sha1->size % 64 == 0) hash_block(sha1);
    }
}

static const Sha1 NOTHING_YET = {.state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}};

/* The first `words` words of the hash, four bytes each. */
static void finish(Sha1 *sha1, unsigned char *hash, size_t words) {
    static const unsigned char PADDING[64] = {0x80};
    unsigned char bits[8];
    set_length(bits, (uint32_t)(sha1->size >> 29));
    set_length(bits + 4, (uint32_t)(sha1->size << 3));
    /* Up to eight bytes before the end of a block. */
    add(sha1, PADDING, 1 + (119 - sha1->size % 64) % 64);
    add(sha1, bits, sizeof bits);
    for (size_t word = 0; word < words; word++) set_length(hash + 4 * word, sha1->state[word]);
}

void hash_uuid(const unsigned char namespace[16], Text text, unsigned char uuid[16]) {
    Sha1 sha1 = NOTHING_YET;
    add(&sha1, namespace, 16);
    add(&sha1, text.bytes, text.size);
    finish(&sha1, uuid, 4);
    uuid[6] = (unsigned char)((uuid[6] & 0x0F) | 0x50);
    uuid[8] = (unsigned char)((uuid[8] & 0x3F) | 0x80);
}

void hash_key(const Text *texts, size_t count, unsigned char digest[8]) {
    Sha1 sha1 = NOTHING_YET;
    for (size_t index = 0; index < count; index++) {
        if (index > 0) add(&sha1, (const unsigned char *)"", 1);
        add(&sha1, texts[index].bytes, texts[index].size);
    }
    finish(&sha1, digest, 2);
}
