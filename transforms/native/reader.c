/* Strings with all that JSON allows in them, and values that are skipped. */

#include "reader.h"

/* By character: the value of a hexadecimal ASCII digit and one more, else 0. */
const unsigned char DIGITS[256] = {
    ['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
    ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

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

Outcome read_rest_of_name(Reader *reader, Text *text) {
    for (;;) {
        if (reader->at == reader->end) return NOT_SURE;
        if (*reader->at < 0x80) break;
        size_t sequence = sequence_at(reader->at, (size_t)(reader->end - reader->at));
        if (sequence == 0) return NOT_SURE;
        reader->at += sequence;
        reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
    }
    if (*reader->at != '"') return NOT_SURE;
    text->size = (size_t)(reader->at++ - text->bytes);
    return DONE;
}

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

Outcome put_string(Row *row, Reader *reader, bool as_json) {
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
        unsigned char byte = *reader->at++;
        if (byte == '"') return DONE;
        if (byte != '\\') return NOT_SURE;
        uint32_t character;
        TRY(read_escape(reader, &character));
        TRY(as_json ? put_json_character(row, character) : put_utf8(row, character));
    }
}

Outcome skip_string(Reader *reader) {
    TRY(expect(reader, '"'));
    for (;;) {
        reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
        if (reader->at == reader->end) return NOT_SURE;
        unsigned char byte = *reader->at;
        if (byte >= 0x80) {
            size_t sequence = sequence_at(reader->at, (size_t)(reader->end - reader->at));
            if (sequence == 0) return NOT_SURE;
            reader->at += sequence;
            continue;
        }
        reader->at++;
        if (byte == '"') return DONE;
        uint32_t character;
        if (byte != '\\') return NOT_SURE;
        TRY(read_escape(reader, &character));
    }
}

Outcome skip_value(Reader *reader) {
    size_t depth = 0;
    do {
        skip_space(reader);
        if (reader->at == reader->end) return NOT_SURE;
        unsigned char byte = *reader->at++;
        if (byte == '{' || byte == '[') {
            depth++;
        } else if (byte == '}' || byte == ']') {
            if (depth-- == 0) return NOT_SURE;
        } else if (byte == '"') {
            for (;; reader->at++) {
                reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
                if (reader->at == reader->end) return NOT_SURE;
                if (*reader->at == '"') break;
                if (*reader->at == '\\' && ++reader->at == reader->end) return NOT_SURE;
            }
            reader->at++;
        }
    } while (depth > 0);
    return DONE;
}
