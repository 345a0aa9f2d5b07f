#include "values.h"

#include <arpa/inet.h>

/* A number of at most so many characters cannot leave DynamoDB's range: without an exponent, with one of two digits. */
#define SURELY_IN_RANGE 120
#define SURELY_IN_RANGE_WITH_EXPONENT 25
/* Deeper ones go the way in Python; DynamoDB's own limit is 32. */
#define MOST_NESTING 64
/* As larger maps do: each name is compared with those before it. */
#define MOST_MEMBERS 256

bool read_uuid(Text text, unsigned char uuid[16]) {
    /* Where the two digits of each byte are. A text of this length nearly always is one, so nothing ends the loop early. */
    static const unsigned char PLACES[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    const unsigned char *at = text.bytes;
    if (text.size != 36 || at[8] != '-' || at[13] != '-' || at[18] != '-' || at[23] != '-') return false;
    unsigned wrong = 0;
    for (int byte = 0; byte < 16; byte++) {
        /* What is no digit has only ones. */
        unsigned high = DIGITS[at[PLACES[byte]]] - 1u, low = DIGITS[at[PLACES[byte] + 1]] - 1u;
        wrong |= high | low;
        uuid[byte] = (unsigned char)(high << 4 | low);
    }
    return wrong <= 0xF;
}

static size_t digits_at(Text text, size_t at) {
    size_t digits = 0;
    while (at + digits < text.size && text.bytes[at + digits] >= '0' && text.bytes[at + digits] <= '9') digits++;
    return digits;
}

/* By character: six bits and one more, else 0. */
static const unsigned char SIX_BITS[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11,
    ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
    ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33,
    ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,
    ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

Outcome put_base64(Row *row, Text text) {
    size_t padding = 0;
    if (text.size % 4 != 0) return NOT_SURE;
    while (padding < 2 && padding < text.size && text.bytes[text.size - 1 - padding] == '=') padding++;
    size_t size = text.size / 4 * 3 - padding;
    if (size > INT32_MAX) return NOT_SURE;
    TRY(make_room(row, 4 + size + 3)); /* three bytes are written at a time */
    set_length(row->bytes + row->size, (uint32_t)size);
    unsigned char *to = row->bytes + row->size + 4;
    for (size_t at = 0; at < text.size; at += 4, to += 3) {
        uint32_t bits = 0;
        for (size_t index = at; index < at + 4; index++) {
            bool is_padding = index >= text.size - padding;
            unsigned char six = is_padding ? 1 : SIX_BITS[text.bytes[index]];
            if (six == 0) return NOT_SURE;
            bits = bits << 6 | (uint32_t)(six - 1);
        }
        /* What the padding stands for must be zero: there is one way to write each content. */
        if (at + 4 == text.size && padding > 0 && (bits & (padding == 1 ? 0xFF : 0xFFFF))) return NOT_SURE;
        to[0] = (unsigned char)(bits >> 16);
        to[1] = (unsigned char)(bits >> 8);
        to[2] = (unsigned char)bits;
    }
    row->size += 4 + size;
    return DONE;
}

Outcome put_inet(Row *row, Text text) {
    unsigned char field[8 + 16];
    char address[48];
    size_t size = 0;
    bool is_v6 = false;
    for (; size < text.size && text.bytes[size] != '/'; size++) {
        unsigned char byte = text.bytes[size];
        if (size + 1 == sizeof address || (byte != ':' && byte != '.' && DIGITS[byte] == 0)) return NOT_SURE;
        address[size] = (char)byte;
        is_v6 = is_v6 || byte == ':';
    }
    address[size] = '\0';
    unsigned length = is_v6 ? 16 : 4, bits = 8 * length;
    if (size < text.size) {
        size_t at = size + 1, digits = digits_at(text, at);
        if (digits == 0 || digits > 3 || at + digits != text.size || (digits > 1 && text.bytes[at] == '0')) return NOT_SURE;
        unsigned number = 0;
        for (; at < text.size; at++) number = number * 10 + text.bytes[at] - '0';
        if (number > bits) return NOT_SURE;
        bits = number;
    }
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, address, field + 8) != 1) return NOT_SURE;
    set_length(field, 4 + length);
    field[4] = is_v6 ? 3 : 2; /* PostgreSQL's own numbers of the families */
    field[5] = (unsigned char)bits;
    field[6] = 0;
    field[7] = (unsigned char)length;
    return put(row, field, 8 + length);
}

/* A JSON number, digit by digit as it is. */
static Outcome put_number(Row *row, Reader *reader) {
    Text text;
    TRY(read_plain(reader, &text));
    if (text.size > SURELY_IN_RANGE) return NOT_SURE;
    size_t at = text.size > 0 && text.bytes[0] == '-' ? 1 : 0;
    size_t digits = digits_at(text, at);
    if (digits == 0 || (digits > 1 && text.bytes[at] == '0')) return NOT_SURE;
    at += digits;
    if (at < text.size && text.bytes[at] == '.') {
        digits = digits_at(text, at + 1);
        if (digits == 0) return NOT_SURE;
        at += 1 + digits;
    }
    if (at < text.size && (text.bytes[at] | 0x20) == 'e') {
        bool is_signed = at + 1 < text.size && (text.bytes[at + 1] == '+' || text.bytes[at + 1] == '-');
        at += is_signed ? 2 : 1;
        digits = digits_at(text, at);
        if (digits == 0 || digits > 2 || text.size > SURELY_IN_RANGE_WITH_EXPONENT) return NOT_SURE;
        at += digits;
    }
    return at == text.size ? put(row, text.bytes, text.size) : NOT_SURE;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------------ */

static Outcome put_json_string(Row *row, Reader *reader) {
    TRY(put_byte(row, '"'));
    TRY(put_string(row, reader, true));
    return put_byte(row, '"');
}

typedef Outcome PutMember(Row *, Reader *, int nesting);

static Outcome put_json(Row *row, Reader *reader, int nesting);

/* Of a name that comes twice the last one counts, which is for Python to see to. Names are compared as they stand in the row. */
static Outcome put_map(Row *row, Reader *reader, int nesting, PutMember *put_member) {
    struct { size_t begin, size; } names[MOST_MEMBERS];
    size_t members = 0;
    TRY(expect(reader, '{'));
    TRY(put_byte(row, '{'));
    if (!take(reader, '}')) {
        do {
            if (members == MOST_MEMBERS) return NOT_SURE;
            if (members > 0) TRY(put_byte(row, ','));
            size_t begin = row->size;
            TRY(put_json_string(row, reader));
            size_t size = row->size - begin;
            for (size_t other = 0; other < members; other++) {
                if (names[other].size == size && memcmp(row->bytes + names[other].begin, row->bytes + begin, size) == 0) return NOT_SURE;
            }
            names[members].begin = begin;
            names[members++].size = size;
            TRY(expect(reader, ':'));
            TRY(put_byte(row, ':'));
            TRY(put_member(row, reader, nesting + 1));
        } while (take(reader, ','));
        TRY(expect(reader, '}'));
    }
    return put_byte(row, '}');
}

static Outcome put_list(Row *row, Reader *reader, int nesting, PutMember *put_member) {
    TRY(expect(reader, '['));
    TRY(put_byte(row, '['));
    if (!take(reader, ']')) {
        for (;;) {
            TRY(put_member(row, reader, nesting + 1));
            if (!take(reader, ',')) break;
            TRY(put_byte(row, ','));
        }
        TRY(expect(reader, ']'));
    }
    return put_byte(row, ']');
}

static Outcome put_string_member(Row *row, Reader *reader, int nesting) {
    (void)nesting;
    return put_json_string(row, reader);
}

static Outcome put_number_member(Row *row, Reader *reader, int nesting) {
    (void)nesting;
    return put_number(row, reader);
}

static Outcome put_boolean(Row *row, Reader *reader) {
    const char *word = expect_word(reader, "true") == DONE ? "true" : "false";
    if (word[0] == 'f') TRY(expect_word(reader, word));
    return put(row, word, strlen(word));
}

static Outcome put_null(Row *row, Reader *reader) {
    TRY(expect_word(reader, "true"));
    return put(row, "null", 4);
}

Outcome put_content(Row *row, Reader *reader, Text tag, int nesting) {
    if (is(tag, "S") || is(tag, "B")) return put_json_string(row, reader);
    if (is(tag, "N")) return put_number(row, reader);
    if (is(tag, "M")) return put_map(row, reader, nesting, put_json);
    if (is(tag, "L")) return put_list(row, reader, nesting, put_json);
    if (is(tag, "BOOL")) return put_boolean(row, reader);
    if (is(tag, "NULL")) return put_null(row, reader);
    if (is(tag, "SS") || is(tag, "BS")) return put_list(row, reader, nesting, put_string_member);
    if (is(tag, "NS")) return put_list(row, reader, nesting, put_number_member);
    return NOT_SURE;
}

/* An attribute value. */
static Outcome put_json(Row *row, Reader *reader, int nesting) {
    Text tag;
    if (nesting > MOST_NESTING) return NOT_SURE;
    TRY(open_value(reader, &tag));
    TRY(put_content(row, reader, tag, nesting));
    return close_value(reader);
}

/* -- typed JSON ------------------------------------------------------------------------------------------------------------------------ */

static Outcome put_typed_value(Row *row, Reader *reader, int nesting) {
    Text tag;
    if (nesting > MOST_NESTING) return NOT_SURE;
    TRY(open_value(reader, &tag));
    TRY(put_typed(row, reader, tag, nesting));
    return close_value(reader);
}

static Outcome put_typed_number(Row *row, Reader *reader, int nesting) {
    (void)nesting;
    TRY(put_byte(row, '"'));
    TRY(put_number(row, reader));
    return put_byte(row, '"');
}

static Outcome put_typed_null(Row *row, Reader *reader) {
    TRY(expect_word(reader, "true"));
    return put(row, "true", 4);
}

Outcome put_typed(Row *row, Reader *reader, Text tag, int nesting) {
    TRY(put(row, "{\"", 2));
    TRY(put(row, tag.bytes, tag.size));
    TRY(put(row, "\":", 2));
    if (is(tag, "N")) TRY(put_typed_number(row, reader, nesting));
    else if (is(tag, "M")) TRY(put_map(row, reader, nesting, put_typed_value));
    else if (is(tag, "L")) TRY(put_list(row, reader, nesting, put_typed_value));
    else if (is(tag, "NS")) TRY(put_list(row, reader, nesting, put_typed_number));
    else if (is(tag, "NULL")) TRY(put_typed_null(row, reader));
    else TRY(put_content(row, reader, tag, nesting)); /* the same with and without tags */
    return put_byte(row, '}');
}
