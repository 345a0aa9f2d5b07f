/* One step: the field of a column, from the content of its attribute's value. */

#pragma once
#include "times.h"
#include "values.h"

/* What a step does. `plan.py` names it, so that a number stands nowhere else. */
#define EACH_KIND(KIND)                                                                                                                \
    KIND(CONSTANT) KIND(CALL) KIND(UUID) KIND(TEXT) KIND(UUID_AS_TEXT) KIND(ONE_OF) KIND(UPPER_CASED) KIND(BOOLEAN) KIND(TIMESTAMP)   \
    KIND(LATER_OF) KIND(JSONB) KIND(JSON) KIND(LIMITED) KIND(SPELLED) KIND(BYTES) KIND(INTEGER) KIND(NUMERIC) KIND(DOUBLE) KIND(REAL) \
    KIND(EPOCH) KIND(ISO) KIND(LOCAL) KIND(DATE) KIND(DAY) KIND(TIME) KIND(SPAN) KIND(ISO_SPAN) KIND(ARRAY) KIND(UUID_V5) KIND(INET)
#define AS_MEMBER(kind) kind,
typedef enum { EACH_KIND(AS_MEMBER) KINDS } Kind;
extern const char *const KIND_NAMES[KINDS];

#define MOST_OPTIONS 7

/* How far a zone is ahead of UTC in a quarter of an hour on its own clock, if it was asked for that already. */
#define QUARTERS 1024
#define MICROSECONDS_OF_QUARTER 900000000LL
typedef struct {
    int64_t quarter, offset;
    bool is_known, is_sure;
} Quarter;

typedef struct Step Step;
struct Step {
    Kind kind;
    Py_ssize_t attribute, other;           /* numbers of attributes, or -1; `other` is that of LATER_OF */
    PyObject *if_missing, *missing_notice; /* bytes or None: not sure; a notice or None */
    PyObject *notice;                      /* of what is stored though it is not as expected; None: nothing to say, or not sure */
    PyObject *texts;                       /* a tuple of bytes; ONE_OF: those that there are; UPPER_CASED: those that are known; SPELLED:
                                              those that mean true, then those that mean false; UUID_V5: the namespace alone */
    PyObject *to_field;                    /* CALL: (a tuple of JSON or None, notices) -> field, or None: not sure;
                                              ISO: None, or of a zone: quarter of an hour -> microseconds ahead of UTC, or None: not sure */
    long long earliest, latest;            /* milliseconds */
    unsigned tags;                         /* those it takes, by `tag_bit`; 0: any */
    long long options[MOST_OPTIONS];       /* of the kind: see `OPTIONS` in steps.c */
    Quarter *quarters;                     /* ISO of a zone: QUARTERS of them, by the last bits of their numbers */
    Step *element;                         /* ARRAY: what each element is; LATER_OF: what each of the times is */
};

/* What is made of one step of one item. */
typedef struct {
    bool is_made, is_left; /* left: it is Python's, and what else is here means nothing */
    size_t begin, size;   /* in the row */
    PyObject *notice;     /* borrowed of the step, or NULL */
    int64_t microseconds; /* of two times: the later one so far */
} Made;

/* A type tag as a bit; 0 for what is none. */
unsigned tag_bit(Text tag);

/* A step from what `plan.py` says of it, or -1 with an exception where it cannot be. `free_step` frees what it holds. */
int take_step_fields(PyObject *tuple, Step *step);
void free_step(Step *step);

/* The field of a column whose attribute's value has this tag; of LATER_OF the later time so far, of CALL nothing yet. */
Outcome do_step(Row *row, const Step *step, Made *made, Reader *reader, Text tag);
