/* An attribute value to JSONB: its text, the same to the byte as orjson writes it for `attribute_value.py`. */

#pragma once
#include "values.h"

/* Deeper ones go the way in Python; DynamoDB's own limit is 32. */
#define MOST_NESTING 64
/* A number of at most so many characters cannot leave DynamoDB's range: without an exponent, with one of two digits. */
#define SURELY_IN_RANGE 120
#define SURELY_IN_RANGE_WITH_EXPONENT 25

/* How many bytes from here on stand in a JSON string as they are. */
static size_t plain_run(const unsigned char *at, size_t left) {
    size_t run = 0;
    while (left - run >= 16) { /* without a branch inside, so that the compiler takes all sixteen at once */
        unsigned char escaped = 0;
        for (int byte = 0; byte < 16; byte++) {
            unsigned char one = at[run + byte];
            escaped |= (unsigned char)((one < 0x20) | (one == '"') | (one == '\\'));
        }
        if (escaped) break;
        run += 16;
    }
    while (run < left && at[run] >= 0x20 && at[run] != '"' && at[run] != '\\') run++;
    return run;
}

static Outcome put_escaped(Row *row, unsigned char one) {
    static const char *const SHORT = "\bb\tt\nn\ff\rr\"\"\\\\";
    if (one == 0) return NOT_SURE; /* U+0000 */
    for (const char *pair = SHORT; *pair; pair += 2) {
        if ((unsigned char)pair[0] == one) {
            char escape[2] = {'\\', pair[1]};
            return put(row, escape, 2);
        }
    }
    char escape[6] = {'\\', 'u', '0', '0', one & 0x10 ? '1' : '0', "0123456789abcdef"[one & 0xF]};
    return put(row, escape, 6);
}

static Outcome put_json_string(Row *row, PyObject *string) {
    Text text;
    TRY(read_text(string, &text));
    const unsigned char *at = (const unsigned char *)text.bytes;
    size_t left = text.size;
    TRY(make_room(row, left + 2));
    TRY(put_byte(row, '"'));
    for (;;) {
        size_t run = plain_run(at, left);
        TRY(put(row, at, run));
        if (run == left) return put_byte(row, '"');
        TRY(put_escaped(row, at[run]));
        at += run + 1;
        left -= run + 1;
    }
}

static size_t digits_at(Text text, size_t at) {
    size_t digits = 0;
    while (at + digits < text.size && text.bytes[at + digits] >= '0' && text.bytes[at + digits] <= '9') digits++;
    return digits;
}

/* A JSON number, digit by digit as it is. */
static Outcome put_number(Row *row, PyObject *string) {
    Text text;
    TRY(read_text(string, &text));
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

static Outcome put_json(Row *row, PyObject *value, int nesting);

static Outcome put_map(Row *row, PyObject *members, int nesting) {
    if (!PyDict_CheckExact(members)) return NOT_SURE;
    Py_ssize_t position = 0;
    PyObject *name, *member;
    TRY(put_byte(row, '{'));
    for (bool is_first = true; PyDict_Next(members, &position, &name, &member); is_first = false) {
        if (!is_first) TRY(put_byte(row, ','));
        TRY(put_json_string(row, name));
        TRY(put_byte(row, ':'));
        TRY(put_json(row, member, nesting + 1));
    }
    return put_byte(row, '}');
}

typedef Outcome PutMember(Row *, PyObject *, int nesting);

static Outcome put_list(Row *row, PyObject *members, int nesting, PutMember *put_member) {
    if (!PyList_CheckExact(members)) return NOT_SURE;
    TRY(put_byte(row, '['));
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(members); index++) {
        if (index) TRY(put_byte(row, ','));
        TRY(put_member(row, PyList_GET_ITEM(members, index), nesting + 1));
    }
    return put_byte(row, ']');
}

static Outcome put_string_member(Row *row, PyObject *member, int nesting) {
    (void)nesting;
    return put_json_string(row, member);
}

static Outcome put_number_member(Row *row, PyObject *member, int nesting) {
    (void)nesting;
    return put_number(row, member);
}

static bool is_tag(Text tag, const char *name) { return tag.size == strlen(name) && memcmp(tag.bytes, name, tag.size) == 0; }

/* An attribute value; the tags in the order of how often they come. */
static Outcome put_json(Row *row, PyObject *value, int nesting) {
    if (nesting > MOST_NESTING || !PyDict_CheckExact(value) || PyDict_GET_SIZE(value) != 1) return NOT_SURE;
    Py_ssize_t position = 0;
    PyObject *key, *content;
    Text tag;
    if (!PyDict_Next(value, &position, &key, &content)) return NOT_SURE;
    TRY(read_text(key, &tag));
    if (is_tag(tag, "S") || is_tag(tag, "B")) return put_json_string(row, content);
    if (is_tag(tag, "N")) return put_number(row, content);
    if (is_tag(tag, "M")) return put_map(row, content, nesting);
    if (is_tag(tag, "L")) return put_list(row, content, nesting, put_json);
    if (is_tag(tag, "BOOL")) return content == Py_True ? put(row, "true", 4) : content == Py_False ? put(row, "false", 5) : NOT_SURE;
    if (is_tag(tag, "NULL")) return content == Py_True ? put(row, "null", 4) : NOT_SURE;
    if (is_tag(tag, "SS") || is_tag(tag, "BS")) return put_list(row, content, nesting, put_string_member);
    if (is_tag(tag, "NS")) return put_list(row, content, nesting, put_number_member);
    return NOT_SURE;
}

static Outcome put_jsonb(Row *row, PyObject *value) {
    size_t begin = row->size;
    TRY(put(row, "\0\0\0\0\1", 5)); /* the length, when it is known, and the version */
    TRY(put_json(row, value, 0));
    if (row->size - begin - 4 > INT32_MAX) return NOT_SURE;
    set_length(row->bytes + begin, (uint32_t)(row->size - begin - 4));
    return DONE;
}
