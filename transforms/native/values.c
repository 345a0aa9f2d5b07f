#include "values.h"

/* Microseconds from 1970-01-01 to 2000-01-01. */
#define POSTGRES_EPOCH 946684800000000LL
/* A number of at most so many characters cannot leave DynamoDB's range: without an exponent, with one of two digits. */
#define SURELY_IN_RANGE 120
#define SURELY_IN_RANGE_WITH_EXPONENT 25
/* Deeper ones go the way in Python; DynamoDB's own limit is 32. */
#define MOST_NESTING 64
/* As larger maps do: each name is compared with those before it. */
#define MOST_MEMBERS 256

bool read_uuid(Text text, unsigned char uuid[16]) {
    if (text.size != 36) return false;
    const unsigned char *at = text.bytes;
    for (int byte = 0; byte < 16; byte++) {
        if ((byte == 4 || byte == 6 || byte == 8 || byte == 10) && *at++ != '-') return false;
        unsigned char high = DIGITS[at[0]], low = DIGITS[at[1]];
        if (high == 0 || low == 0) return false;
        uuid[byte] = (unsigned char)((high - 1) << 4 | (low - 1));
        at += 2;
    }
    return true;
}

static size_t digits_at(Text text, size_t at) {
    size_t digits = 0;
    while (at + digits < text.size && text.bytes[at + digits] >= '0' && text.bytes[at + digits] <= '9') digits++;
    return digits;
}

Outcome read_microseconds(Reader *reader, int64_t earliest, int64_t latest, int64_t *microseconds) {
    Text text;
    TRY(read_plain(reader, &text));
    size_t fraction = text.size > 14 && text.bytes[13] == '.' ? text.size - 14 : 0;
    bool is_usual = digits_at(text, 0) == 13 && text.bytes[0] != '0' && fraction <= 3 && text.size == (fraction ? 14 + fraction : 13);
    if (!is_usual || (fraction && digits_at(text, 14) != fraction)) return NOT_SURE;
    int64_t number = 0;
    for (size_t at = 0; at < 17; at++) {
        if (at != 13) number = number * 10 + (at < text.size ? text.bytes[at] - '0' : 0);
    }
    *microseconds = number;
    return number >= earliest * 1000 && number <= latest * 1000 ? DONE : NOT_SURE;
}

Outcome put_timestamptz(Row *row, int64_t microseconds) {
    uint64_t since = (uint64_t)(microseconds - POSTGRES_EPOCH);
    unsigned char field[12];
    set_length(field, 8);
    set_length(field + 4, (uint32_t)(since >> 32));
    set_length(field + 8, (uint32_t)since);
    return put(row, field, sizeof field);
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

static Outcome put_json(Row *row, Reader *reader, int nesting);

/* Of a name that comes twice the last one counts, which is for Python to see to. Names are compared as they stand in the row. */
static Outcome put_map(Row *row, Reader *reader, int nesting) {
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
            TRY(put_json(row, reader, nesting + 1));
        } while (take(reader, ','));
        TRY(expect(reader, '}'));
    }
    return put_byte(row, '}');
}

typedef Outcome PutMember(Row *, Reader *, int nesting);

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
    if (is(tag, "M")) return put_map(row, reader, nesting);
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
