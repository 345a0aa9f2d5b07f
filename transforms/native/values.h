/* What orjson made of a line, read without a copy: texts, attribute values, UUIDs, timestamps. */

#pragma once
#include "row.h"

#define POSTGRES_EPOCH_MILLISECONDS 946684800000LL

static PyObject *TAG_S, *TAG_N, *TAG_M, *TAG_BOOL, *TAG_NULL;

typedef struct {
    const char *bytes;
    size_t size;
} Text;

/* The UTF-8 of a string; a string keeps it. */
static Outcome read_text(PyObject *string, Text *text) {
    if (string == NULL || !PyUnicode_CheckExact(string)) return NOT_SURE;
    Py_ssize_t size;
    text->bytes = PyUnicode_AsUTF8AndSize(string, &size);
    if (text->bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return FAILED;
        PyErr_Clear();
        return NOT_SURE;
    }
    text->size = (size_t)size;
    return DONE;
}

/* The content of an attribute value that has this one type tag, else NULL. */
static PyObject *content_of(PyObject *value, PyObject *tag) {
    return PyDict_CheckExact(value) && PyDict_GET_SIZE(value) == 1 ? PyDict_GetItemWithError(value, tag) : NULL;
}

static bool is_missing(PyObject *value) { return value == NULL || content_of(value, TAG_NULL) == Py_True; }

/* -- UUIDs and timestamps -------------------------------------------------------------------------------------------------------------- */

static int digit_of(char character) {
    if (character >= '0' && character <= '9') return character - '0';
    character |= 0x20;
    return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* 8-4-4-4-12 hexadecimal ASCII digits, either case. */
static bool read_uuid(Text text, unsigned char uuid[16]) {
    if (text.size != 36) return false;
    const char *at = text.bytes;
    for (int byte = 0; byte < 16; byte++) {
        if ((byte == 4 || byte == 6 || byte == 8 || byte == 10) && *at++ != '-') return false;
        int high = digit_of(at[0]), low = digit_of(at[1]);
        if (high < 0 || low < 0) return false;
        uuid[byte] = (unsigned char)(high << 4 | low);
        at += 2;
    }
    return true;
}

/* What nearly every timestamp looks like: 13 digits, the first no zero. */
static Outcome read_milliseconds(PyObject *value, int64_t earliest, int64_t latest, int64_t *milliseconds) {
    Text text;
    TRY(read_text(content_of(value, TAG_N), &text));
    if (text.size != 13 || text.bytes[0] == '0') return NOT_SURE;
    int64_t number = 0;
    for (int digit = 0; digit < 13; digit++) {
        if (text.bytes[digit] < '0' || text.bytes[digit] > '9') return NOT_SURE;
        number = number * 10 + (text.bytes[digit] - '0');
    }
    *milliseconds = number;
    return number >= earliest && number <= latest ? DONE : NOT_SURE;
}

static Outcome put_timestamptz(Row *row, int64_t milliseconds) {
    uint64_t microseconds = (uint64_t)((milliseconds - POSTGRES_EPOCH_MILLISECONDS) * 1000);
    unsigned char field[12];
    set_length(field, 8);
    set_length(field + 4, (uint32_t)(microseconds >> 32));
    set_length(field + 8, (uint32_t)microseconds);
    return put(row, field, sizeof field);
}
