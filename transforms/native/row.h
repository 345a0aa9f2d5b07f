/* A row that grows, and what came of an attempt to add to it. */

#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum { DONE, NOT_SURE, FAILED } Outcome; /* FAILED: an exception is set */

#define TRY(call)                              \
    do {                                       \
        Outcome outcome_ = (call);             \
        if (outcome_ != DONE) return outcome_; \
    } while (0)

typedef struct {
    unsigned char *bytes;
    size_t size, room;
} Row;

static inline Outcome make_room(Row *row, size_t more) {
    if (row->room - row->size >= more) return DONE;
    size_t room = 2 * (row->size + more) + 1024;
    unsigned char *bytes = PyMem_Realloc(row->bytes, room);
    if (bytes == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    row->bytes = bytes;
    row->room = room;
    return DONE;
}

static inline Outcome put(Row *row, const void *bytes, size_t size) {
    TRY(make_room(row, size));
    memcpy(row->bytes + row->size, bytes, size);
    row->size += size;
    return DONE;
}

static inline Outcome put_byte(Row *row, unsigned char byte) { return put(row, &byte, 1); }

static inline void set_length(unsigned char *at, uint32_t length) {
    for (int byte = 0; byte < 4; byte++) at[byte] = (unsigned char)(length >> (24 - 8 * byte));
}

/* A field that is made already, of what the steps hold. */
static inline Outcome put_field(Row *row, PyObject *field) { return put(row, PyBytes_AS_STRING(field), (size_t)PyBytes_GET_SIZE(field)); }

/* The length of a field that began here, now that all of it is there. */
static inline Outcome set_length_since(Row *row, size_t begin) {
    if (row->size - begin - 4 > INT32_MAX) return NOT_SURE;
    set_length(row->bytes + begin, (uint32_t)(row->size - begin - 4));
    return DONE;
}
