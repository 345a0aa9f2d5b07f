/* A row as PostgreSQL sends it: the same fields, in the one form of them that its send functions give.

   Only two types have another form. A jsonb's text is made anew by PostgreSQL: members by the length of their names, then by their bytes, with
   a space behind each comma and colon, numbers as numeric has them. A numeric of a column with a scale names that scale.

   What is written in a way of which that form does not follow at once (a name with an escape, a number with an exponent, a name that comes
   twice) is "not sure": whoever compares asks PostgreSQL. */

#include "sent.h"

#include <stdlib.h>

#define MOST_NESTING 64
/* Larger maps are not sure. */
#define MOST_MEMBERS 128
/* Of one number; DynamoDB's have 38 digits. */
#define MOST_CHARACTERS 120

/* Codes of columns. */
#define AS_IT_IS 0
#define JSONB_FORM 255

/* Of the row, and of a map whose members are put into their order. Kept for the next: the interpreter's lock is held. */
static Row sent, unordered;

typedef struct {
    Text name;
    size_t begin, size; /* of name and value in the text */
} Member;

static Outcome put_value(Reader *reader, int nesting);

/* Whether an escape comes next, behind its backslash, that PostgreSQL writes as well; if so it is behind us. */
static bool take_escape(Reader *reader) {
    static const char CONTROL[] = "u00";
    if (reader->at == reader->end) return false;
    if (memchr("\"\\bfnrt", *reader->at, 7)) {
        reader->at++;
        return true;
    }
    if (reader->end - reader->at < 5 || memcmp(reader->at, CONTROL, 3) != 0) return false;
    unsigned char high = reader->at[3], low = reader->at[4];
    bool is_digit = low >= '0' && low <= '9';
    if (!is_digit && (low < 'a' || low > 'f')) return false;
    if (high == '0') {
        /* U+0000 is in no jsonb, and five others have an escape of their own. */
        if (low == '0' || memchr("89acd", low, 5)) return false;
    } else if (high != '1') {
        return false;
    }
    reader->at += 5;
    return true;
}

/* A string with its quotes, as it stands. */
static Outcome put_text(Reader *reader, bool *has_escape) {
    const unsigned char *begin = reader->at;
    if (reader->at == reader->end || *reader->at++ != '"') return NOT_SURE;
    for (;;) {
        reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
        if (reader->at == reader->end) return NOT_SURE;
        unsigned char byte = *reader->at++;
        if (byte == '"') return put(&sent, begin, (size_t)(reader->at - begin));
        if (byte >= 0x80) continue;
        if (byte != '\\' || !take_escape(reader)) return NOT_SURE;
        *has_escape = true;
    }
}

static bool is_digit_at(const Reader *reader) { return reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9'; }

static Outcome put_plain_number(Reader *reader) {
    const unsigned char *begin = reader->at;
    bool is_negative = *reader->at == '-', is_zero = true;
    if (is_negative) reader->at++;
    if (!is_digit_at(reader)) return NOT_SURE;
    bool has_zero_first = *reader->at == '0';
    const unsigned char *digits = reader->at;
    for (; is_digit_at(reader); reader->at++) is_zero = is_zero && *reader->at == '0';
    if (has_zero_first && reader->at - digits > 1) return NOT_SURE;
    if (reader->at < reader->end && *reader->at == '.') {
        reader->at++;
        if (!is_digit_at(reader)) return NOT_SURE;
        for (; is_digit_at(reader); reader->at++) is_zero = is_zero && *reader->at == '0';
    }
    size_t size = (size_t)(reader->at - begin);
    /* What follows, an exponent too, is for the caller, who knows none. */
    if (size > MOST_CHARACTERS || (is_negative && is_zero)) return NOT_SURE;
    return put(&sent, begin, size);
}

static Outcome put_word(Reader *reader, const char *word) {
    TRY(expect_word(reader, word));
    return put(&sent, word, strlen(word));
}

/* Whether this character comes next, without any space; if so it is behind us. */
static bool take_next(Reader *reader, unsigned char character) {
    if (reader->at == reader->end || *reader->at != character) return false;
    reader->at++;
    return true;
}

static Outcome put_elements(Reader *reader, int nesting) {
    TRY(put_byte(&sent, '['));
    if (!take_next(reader, ']')) {
        for (;;) {
            TRY(put_value(reader, nesting + 1));
            if (!take_next(reader, ',')) break;
            TRY(put(&sent, ", ", 2));
        }
        if (!take_next(reader, ']')) return NOT_SURE;
    }
    return put_byte(&sent, ']');
}

static int compare_names(const void *first, const void *second) {
    const Text a = ((const Member *)first)->name, b = ((const Member *)second)->name;
    if (a.size != b.size) return a.size < b.size ? -1 : 1;
    return memcmp(a.bytes, b.bytes, a.size);
}

/* Members that were written in another order than PostgreSQL's, from `begin` on. */
static Outcome put_in_order(Member *members, size_t count, size_t begin) {
    qsort(members, count, sizeof *members, compare_names);
    unordered.size = 0;
    TRY(put(&unordered, sent.bytes + begin, sent.size - begin));
    sent.size = begin;
    for (size_t index = 0; index < count; index++) {
        if (index > 0) {
            if (compare_names(&members[index - 1], &members[index]) == 0) return NOT_SURE;
            TRY(put(&sent, ", ", 2));
        }
        TRY(put(&sent, unordered.bytes + (members[index].begin - begin), members[index].size));
    }
    return DONE;
}

static Outcome put_members(Reader *reader, int nesting) {
    Member members[MOST_MEMBERS];
    size_t count = 0;
    bool is_ordered = true;
    TRY(put_byte(&sent, '{'));
    const size_t begin = sent.size;
    if (!take_next(reader, '}')) {
        for (;;) {
            if (count == MOST_MEMBERS) return NOT_SURE;
            Member *member = &members[count];
            bool has_escape = false;
            member->begin = sent.size;
            member->name.bytes = reader->at + 1;
            TRY(put_text(reader, &has_escape));
            if (has_escape) return NOT_SURE;
            member->name.size = (size_t)(reader->at - 1 - member->name.bytes);
            if (!take_next(reader, ':')) return NOT_SURE;
            TRY(put(&sent, ": ", 2));
            TRY(put_value(reader, nesting + 1));
            member->size = sent.size - member->begin;
            is_ordered = is_ordered && (count == 0 || compare_names(member - 1, member) < 0);
            count++;
            if (!take_next(reader, ',')) break;
            TRY(put(&sent, ", ", 2));
        }
        if (!take_next(reader, '}')) return NOT_SURE;
        if (!is_ordered) TRY(put_in_order(members, count, begin));
    }
    return put_byte(&sent, '}');
}

static Outcome put_value(Reader *reader, int nesting) {
    bool has_escape;
    if (nesting > MOST_NESTING || reader->at == reader->end) return NOT_SURE;
    switch (*reader->at) {
        case '"': return put_text(reader, &has_escape);
        case '{': reader->at++; return put_members(reader, nesting);
        case '[': reader->at++; return put_elements(reader, nesting);
        case 't': return put_word(reader, "true");
        case 'f': return put_word(reader, "false");
        case 'n': return put_word(reader, "null");
        default: return put_plain_number(reader);
    }
}

/* The field of a jsonb: its version, then its text. */
static Outcome put_jsonb(Text content) {
    const size_t begin = sent.size;
    if (content.size == 0 || content.bytes[0] != 1) return NOT_SURE;
    Reader reader = {content.bytes + 1, content.bytes + content.size};
    TRY(put(&sent, "\0\0\0\0\1", 5));
    TRY(put_value(&reader, 0));
    return reader.at == reader.end ? set_length_since(&sent, begin) : NOT_SURE;
}

/* The field of a numeric, with so many digits behind the point that are shown: they are no part of the value. */
static Outcome put_numeric(Text field, unsigned scale) {
    if (field.size < 12) return NOT_SURE;
    TRY(put(&sent, field.bytes, field.size));
    sent.bytes[sent.size - field.size + 10] = (unsigned char)(scale >> 8);
    sent.bytes[sent.size - field.size + 11] = (unsigned char)scale;
    return DONE;
}

static Outcome put_row(Text row, Text codes) {
    size_t at = 0;
    for (size_t column = 0; column < codes.size; column++) {
        if (row.size - at < 4) return NOT_SURE;
        const unsigned char *field = row.bytes + at;
        uint32_t length = (uint32_t)field[0] << 24 | (uint32_t)field[1] << 16 | (uint32_t)field[2] << 8 | field[3];
        size_t size = 4 + (length == UINT32_MAX ? 0 : length);
        if (row.size - at < size) return NOT_SURE;
        if (codes.bytes[column] == AS_IT_IS || length == UINT32_MAX) TRY(put(&sent, field, size));
        else if (codes.bytes[column] == JSONB_FORM) TRY(put_jsonb((Text){field + 4, size - 4}));
        else TRY(put_numeric((Text){field, size}, codes.bytes[column] - 1u));
        at += size;
    }
    return at == row.size ? DONE : NOT_SURE;
}

PyObject *row_as_sent(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 2 || !PyBytes_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "row_as_sent takes a row (bytes) and the codes of its columns (bytes)");
        return NULL;
    }
    Text row = {(const unsigned char *)PyBytes_AS_STRING(arguments[0]), (size_t)PyBytes_GET_SIZE(arguments[0])};
    Text codes = {(const unsigned char *)PyBytes_AS_STRING(arguments[1]), (size_t)PyBytes_GET_SIZE(arguments[1])};
    sent.size = 0;
    Outcome outcome = put_row(row, codes);
    if (outcome == FAILED) return NULL;
    return outcome == DONE ? PyBytes_FromStringAndSize((const char *)sent.bytes, (Py_ssize_t)sent.size) : Py_NewRef(Py_None);
}
