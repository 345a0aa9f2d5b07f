/* A line of a data file, read strictly and once: whatever is not the usual JSON of typed attributes is "not sure", so what is taken here is
   a subset of what orjson takes, with the same meaning. */

#pragma once
#include "row.h"

typedef struct {
    const unsigned char *at, *end;
} Reader;

typedef struct {
    const unsigned char *bytes;
    size_t size;
} Text;

static bool is(Text text, const char *word) { return text.size == strlen(word) && memcmp(text.bytes, word, text.size) == 0; }

static void skip_space(Reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r')) reader->at++;
}

/* Whether this character comes next, after any space; if so it is behind us. */
static bool take(Reader *reader, unsigned char character) {
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != character) return false;
    reader->at++;
    return true;
}

static Outcome expect(Reader *reader, unsigned char character) { return take(reader, character) ? DONE : NOT_SURE; }

static Outcome expect_word(Reader *reader, const char *word) {
    size_t size = strlen(word);
    skip_space(reader);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) return NOT_SURE;
    reader->at += size;
    return DONE;
}

/* -- strings --------------------------------------------------------------------------------------------------------------------------- */

/* ASCII that stands for itself in a JSON string, and ends none. */
static bool is_plain(unsigned char one) { return one >= 0x20 && one < 0x80 && one != '"' && one != '\\'; }

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define EACH(byte) (0x0101010101010101u * (byte))

/* The highest bit of each byte of eight that is not plain, and perhaps of some behind the first such: subtracting borrows upwards only. */
static uint64_t not_plain(uint64_t eight) {
    uint64_t quote = eight ^ EACH('"'), backslash = eight ^ EACH('\\');
    uint64_t found = ((eight - EACH(0x20)) & ~eight) | ((quote - EACH(1)) & ~quote) | ((backslash - EACH(1)) & ~backslash) | eight;
    return found & EACH(0x80);
}
#endif

static size_t plain_run(const unsigned char *at, size_t left) {
    size_t run = 0;
#ifdef EACH
    for (; left - run >= 8; run += 8) {
        uint64_t eight;
        memcpy(&eight, at + run, sizeof eight);
        uint64_t found = not_plain(eight);
        if (found) return run + (size_t)__builtin_ctzll(found) / 8;
    }
#endif
    while (run < left && is_plain(at[run])) run++;
    return run;
}

/* The length of the sound UTF-8 sequence of several bytes that begins here; 0 if none does (RFC 3629, section 4). */
static size_t sequence_at(const unsigned char *at, size_t left) {
    unsigned char lead = at[0], low = 0x80, high = 0xBF;
    size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || left < size) return 0;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t byte = 2; byte < size; byte++) {
        if ((at[byte] & 0xC0) != 0x80) return 0;
    }
    return size;
}

/* A string of plain ASCII, as it stands: tags, names of attributes, UUIDs, numbers. */
static Outcome read_plain(Reader *reader, Text *text) {
    TRY(expect(reader, '"'));
    text->bytes = reader->at;
    text->size = plain_run(reader->at, (size_t)(reader->end - reader->at));
    reader->at += text->size;
    if (reader->at == reader->end || *reader->at != '"') return NOT_SURE;
    reader->at++;
    return DONE;
}

/* By character: the value of a hexadecimal ASCII digit and one more, else 0. */
static const unsigned char DIGITS[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

static Outcome read_hexadecimal(Reader *reader, uint32_t *number) {
    if (reader->end - reader->at < 4) return NOT_SURE;
    *number = 0;
    for (int digit = 0; digit < 4; digit++) {
        unsigned char value = DIGITS[*reader->at++];
        if (value == 0) return NOT_SURE;
        *number = *number << 4 | (uint32_t)(value - 1);
    }
    return DONE;
}

/* The character of an escape, behind its backslash; never U+0000, nor half a surrogate pair. */
static Outcome read_escape(Reader *reader, uint32_t *character) {
    static const char SHORT[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (reader->at == reader->end) return NOT_SURE;
    unsigned char kind = *reader->at++;
    for (const char *pair = SHORT; *pair; pair += 2) {
        if ((unsigned char)pair[0] != kind) continue;
        *character = (unsigned char)pair[1];
        return DONE;
    }
    if (kind != 'u') return NOT_SURE;
    TRY(read_hexadecimal(reader, character));
    if (*character >= 0xD800 && *character < 0xDC00) {
        uint32_t low;
        if (reader->end - reader->at < 2 || *reader->at++ != '\\' || *reader->at++ != 'u') return NOT_SURE;
        TRY(read_hexadecimal(reader, &low));
        if (low < 0xDC00 || low > 0xDFFF) return NOT_SURE;
        *character = 0x10000 + ((*character - 0xD800) << 10) + (low - 0xDC00);
        return DONE;
    }
    return *character == 0 || (*character >= 0xDC00 && *character < 0xE000) ? NOT_SURE : DONE;
}

static Outcome put_utf8(Row *row, uint32_t character) {
    unsigned char bytes[4];
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char LEADS[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t byte = size - 1; byte > 0; byte--) {
        bytes[byte] = (unsigned char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    bytes[0] = (unsigned char)(LEADS[size] | character);
    return put(row, bytes, size);
}

/* A character as a JSON string has it, the way orjson writes it. */
static Outcome put_json_character(Row *row, uint32_t character) {
    static const char SHORT[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    if (character >= 0x20 && character != '"' && character != '\\') return put_utf8(row, character);
    for (const char *pair = SHORT; *pair; pair += 2) {
        if ((unsigned char)pair[0] == character) {
            char escape[2] = {'\\', pair[1]};
            return put(row, escape, 2);
        }
    }
    char escape[6] = {'\\', 'u', '0', '0', character & 0x10 ? '1' : '0', "0123456789abcdef"[character & 0xF]};
    return put(row, escape, 6);
}

/* A string to the row: the text that it means, or JSON again, without the quotes. */
static Outcome put_string(Row *row, Reader *reader, bool as_json) {
    TRY(expect(reader, '"'));
    for (;;) {
        const unsigned char *begin = reader->at;
        for (;;) {
            reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
            if (reader->at == reader->end) return NOT_SURE;
            if (*reader->at < 0x80) break;
            size_t sequence = sequence_at(reader->at, (size_t)(reader->end - reader->at));
            if (sequence == 0) return NOT_SURE;
            reader->at += sequence;
        }
        TRY(put(row, begin, (size_t)(reader->at - begin)));
        unsigned char one = *reader->at++;
        if (one == '"') return DONE;
        if (one != '\\') return NOT_SURE;
        uint32_t character;
        TRY(read_escape(reader, &character));
        TRY(as_json ? put_json_character(row, character) : put_utf8(row, character));
    }
}

/* -- attribute values ------------------------------------------------------------------------------------------------------------------ */

/* An attribute value up to its content; `close_value` is what comes behind it. */
static Outcome open_value(Reader *reader, Text *tag) {
    TRY(expect(reader, '{'));
    TRY(read_plain(reader, tag));
    return expect(reader, ':');
}

static Outcome close_value(Reader *reader) { return expect(reader, '}'); }

/* Past any value. Its brackets and strings only: what nobody looks into here is looked into in Python. */
static Outcome skip_value(Reader *reader) {
    size_t depth = 0;
    do {
        skip_space(reader);
        if (reader->at == reader->end) return NOT_SURE;
        unsigned char one = *reader->at++;
        if (one == '{' || one == '[') {
            depth++;
        } else if (one == '}' || one == ']') {
            if (depth-- == 0) return NOT_SURE;
        } else if (one == '"') {
            for (; reader->at < reader->end && *reader->at != '"'; reader->at++) {
                if (*reader->at == '\\' && ++reader->at == reader->end) return NOT_SURE;
            }
            if (reader->at++ == reader->end) return NOT_SURE;
        }
    } while (depth > 0);
    return DONE;
}
