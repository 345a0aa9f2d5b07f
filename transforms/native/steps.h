/* One step: the field of a column, from the content of its attribute's value. */

#pragma once
#include "values.h"

/* What a step does. `plan.py` names it, so that a number stands nowhere else. */
#define EACH_KIND(KIND)                                                                                                                \
    KIND(CONSTANT) KIND(CALL) KIND(UUID) KIND(TEXT) KIND(UUID_AS_TEXT) KIND(ONE_OF) KIND(UPPER_CASED) KIND(BOOLEAN) KIND(TIMESTAMP)   \
    KIND(LATER_OF) KIND(JSONB)
#define AS_MEMBER(kind) kind,
typedef enum { EACH_KIND(AS_MEMBER) KINDS } Kind;
extern const char *const KIND_NAMES[KINDS];

typedef struct {
    Kind kind;
    Py_ssize_t attribute, other;           /* numbers of attributes; `other` is that of LATER_OF, or of a CALL of two */
    PyObject *if_missing, *missing_notice; /* bytes or None: not sure; a notice or None */
    PyObject *notice;                      /* of what is stored though it is not as expected; None: nothing to say, or not sure */
    PyObject *texts;                       /* a tuple of bytes; ONE_OF: those that there are; UPPER_CASED: those that are known */
    PyObject *to_field;                    /* CALL: (JSON or None, JSON of `other` or None, notices) -> field, or None: not sure */
    long long earliest, latest;            /* milliseconds */
} Step;

/* What is made of one step of one item. */
typedef struct {
    bool is_made;
    size_t begin, size;   /* in the row */
    PyObject *notice;     /* borrowed of the step, or NULL */
    int64_t microseconds; /* LATER_OF: the later one so far */
    Text json, other;     /* CALL: the values, or without bytes */
} Made;

/* The field of a column whose attribute's value has this tag; of LATER_OF the later time so far, of CALL nothing yet. */
Outcome do_step(Row *row, const Step *step, Made *made, Reader *reader, Text tag);
