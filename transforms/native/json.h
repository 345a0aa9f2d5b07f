/* An attribute value to JSONB: its text, the same to the byte as orjson writes it for `attribute_value.py`. */

#pragma once
#include "values.h"

/* Deeper ones go the way in Python; DynamoDB's own limit is 32. */
#define MOST_NESTING 64
/* As larger maps do: each name is compared with those before it. */
#define MOST_MEMBERS 256

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

static Outcome put_content(Row *row, Reader *reader, Text tag, int nesting) {
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
