/* Where the value of a column comes from, where that is not one attribute as it is: `sources.py` in short. */

#pragma once
#include "steps.h"

/* `plan.py` names them, as it does the kinds of steps. */
#define EACH_SOURCE(SOURCE) SOURCE(FROM_VALUE) SOURCE(FROM_PART) SOURCE(FROM_JOINED) SOURCE(FROM_ITEM) SOURCE(FROM_REST)
typedef enum { EACH_SOURCE(AS_MEMBER) SOURCES_KNOWN } SourceKind;
extern const char *const SOURCE_NAMES[SOURCES_KNOWN];

/* What cleaning is asked for; a text that it would change is "not sure". */
enum { CLEAN_TRIM = 1, CLEAN_LOWER = 2, CLEAN_UPPER = 4, CLEAN_EMPTY = 8, CLEAN_ALL = 15 };

typedef struct {
    SourceKind kind;
    PyObject *attributes; /* a tuple of numbers of attributes */
    PyObject *texts;      /* a tuple of bytes; FROM_PART: the literals of the pattern; FROM_JOINED: the separator as in JSON */
    Py_ssize_t part;      /* FROM_PART: which placeholder */
    int clean;
    Py_ssize_t first;  /* where its values stand among those of all */
    bool is_simple;    /* one value as it is, of which the step makes the field at once */
    bool keeps_values; /* whether they are needed when all have been read */
} Source;

/* Whether the string that comes next is one that cleaning leaves as it is. */
bool is_clean(Reader reader, int clean);

/* The part of a composite string, as a JSON string in `text`, which is empty before; the string is behind the reader then. */
Outcome put_part(Row *text, Reader *reader, const Source *source);

/* The texts of attribute values, joined, as a JSON string in `text`. */
Outcome put_joined(Row *text, const Text *values, const Source *source);
