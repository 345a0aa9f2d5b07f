/* Whether an item is for a table: `where.py` in short. */

#pragma once
#include "values.h"

/* `plan.py` names them. */
#define EACH_CONDITION(CONDITION) CONDITION(EQUALS) CONDITION(BEGINS_WITH) CONDITION(EXISTS) CONDITION(ALL_OF) CONDITION(ANY_OF) CONDITION(NOT)

typedef enum { IS_EQUALS, IS_BEGINS_WITH, IS_EXISTS, IS_ALL_OF, IS_ANY_OF, IS_NOT, CONDITIONS_KNOWN } ConditionKind;

typedef struct Condition {
    ConditionKind kind;
    Py_ssize_t reason;            /* what is said where it does not hold; of ALL_OF that of the first inside that does not */
    PyObject *names;              /* a tuple of bytes and ints: the way to the attribute */
    PyObject *texts, *numbers;    /* tuples of bytes; a number is written as an integer, or empty where it is none */
    int booleans;                 /* 1: false, 2: true, or both */
    struct Condition *conditions; /* inside it */
    Py_ssize_t count;
} Condition;

/* A condition of what `plan.py` describes; -1 with an exception. What it points to belongs to that description. */
int take_condition(PyObject *described, Condition *condition);
void free_condition(Condition *condition);

/* Whether the item, from its opening bracket on, meets it: `reason` is -1 then. What it does not look at may be anything. */
Outcome check_condition(const Condition *condition, Reader item, Row *text, Py_ssize_t *reason);

/* Whether it looks for something inside of an attribute, and so not at all of that attribute. */
bool looks_inside(const Condition *condition);

/* Whether the line is one sound item, whatever it has. */
Outcome check_line(Reader line, Row *text);
