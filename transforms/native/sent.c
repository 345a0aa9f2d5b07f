/* Whether rows that PostgreSQL sends are to the byte those that it sends of equal ones: the same fields, in the one form of them that its
   send functions give.

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

static bool is_null(const unsigned char *field) { return memcmp(field, "\xff\xff\xff\xff", 4) == 0; }

/* With its length; 0 where no whole field begins here. */
static size_t size_of_field(Text row, size_t at) {
    const unsigned char *field = row.bytes + at;
    if (row.size - at < 4) return 0;
    if (is_null(field)) return 4;
    size_t size = 4 + ((size_t)field[0] << 24 | (size_t)field[1] << 16 | (size_t)field[2] << 8 | field[3]);
    return row.size - at < size ? 0 : size;
}

static Outcome put_row(Text row, Text codes) {
    size_t at = 0;
    for (size_t column = 0; column < codes.size; column++) {
        const unsigned char *field = row.bytes + at;
        size_t size = size_of_field(row, at);
        if (size == 0) return NOT_SURE;
        if (codes.bytes[column] == AS_IT_IS || is_null(field)) TRY(put(&sent, field, size));
        else if (codes.bytes[column] == JSONB_FORM) TRY(put_jsonb((Text){field + 4, size - 4}));
        else TRY(put_numeric((Text){field, size}, codes.bytes[column] - 1u));
        at += size;
    }
    return at == row.size ? DONE : NOT_SURE;
}

static Text text_of(PyObject *bytes) { return (Text){(const unsigned char *)PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)}; }

/* The fields at these positions, which are in their order. */
static PyObject *fields_of_row(Text row, Text positions) {
    size_t at = 0, next = 0;
    sent.size = 0;
    for (size_t position = 0; next < positions.size; position++) {
        size_t size = size_of_field(row, at);
        if (size == 0) {
            PyErr_SetString(PyExc_ValueError, "a row has fewer fields");
            return NULL;
        }
        if (positions.bytes[next] == position) {
            if (put(&sent, row.bytes + at, size) != DONE) return NULL;
            next++;
        }
        at += size;
    }
    return PyBytes_FromStringAndSize((const char *)sent.bytes, (Py_ssize_t)sent.size);
}

PyObject *fields_at(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 2 || !PyList_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "fields_at takes a list of rows and positions (bytes)");
        return NULL;
    }
    PyObject *picked = PyList_New(0);
    for (Py_ssize_t index = 0; picked != NULL && index < PyList_GET_SIZE(arguments[0]); index++) {
        PyObject *row = PyList_GET_ITEM(arguments[0], index);
        if (!PyBytes_CheckExact(row)) PyErr_SetString(PyExc_TypeError, "a row is bytes");
        PyObject *fields = PyBytes_CheckExact(row) ? fields_of_row(text_of(row), text_of(arguments[1])) : NULL;
        if (fields == NULL || PyList_Append(picked, fields)) Py_CLEAR(picked);
        Py_XDECREF(fields);
    }
    return picked;
}

/* A row that came from PostgreSQL: two bytes, its fields, and two more of eight bytes each with its length. */
#define BEFORE_FIELDS 2
#define BEHIND_FIELDS 24

static int64_t number_at(const unsigned char *at) {
    uint64_t number = 0;
    for (int byte = 0; byte < 8; byte++) number = number << 8 | at[byte];
    return (int64_t)number;
}

/* Puts the item and the other number of a row into the dict, if its fields are those of the item's row. */
static Outcome prove_row(PyObject *rows, Text codes, Text message, PyObject *proved) {
    if (message.size < BEFORE_FIELDS + BEHIND_FIELDS) return DONE;
    const size_t size = message.size - BEFORE_FIELDS - BEHIND_FIELDS;
    const unsigned char *fields = message.bytes + BEFORE_FIELDS;
    PyObject *item = PyLong_FromLongLong(number_at(fields + size + 4));
    PyObject *row = item ? PyDict_GetItemWithError(rows, item) : NULL;
    Outcome outcome = row == NULL && PyErr_Occurred() ? FAILED : NOT_SURE;
    if (row != NULL && PyBytes_CheckExact(row)) {
        sent.size = 0;
        outcome = put_row(text_of(row), codes);
        if (outcome == DONE && sent.size == size && memcmp(sent.bytes, fields, size) == 0) {
            PyObject *number = PyLong_FromLongLong(number_at(fields + size + 16));
            if (number == NULL || PyDict_SetItem(proved, item, number)) outcome = FAILED;
            Py_XDECREF(number);
        }
    }
    Py_XDECREF(item);
    return outcome == FAILED ? FAILED : DONE;
}

PyObject *prove_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 3 || !PyDict_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1]) || !PyList_CheckExact(arguments[2])) {
        PyErr_SetString(PyExc_TypeError, "prove_rows takes a dict of rows, the codes of their columns (bytes), and a list of messages");
        return NULL;
    }
    PyObject *proved = PyDict_New();
    for (Py_ssize_t index = 0; proved != NULL && index < PyList_GET_SIZE(arguments[2]); index++) {
        PyObject *message = PyList_GET_ITEM(arguments[2], index);
        if (!PyBytes_CheckExact(message)) continue;
        if (prove_row(arguments[0], text_of(arguments[1]), text_of(message), proved) == FAILED) Py_CLEAR(proved);
    }
    return proved;
}
