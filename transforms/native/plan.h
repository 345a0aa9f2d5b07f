/* What `plan.py` says of a definition, as it is looked up for every line; made once, then only read. */

#ifndef PLAN_H
#define PLAN_H

#include "sources.h"
#include "where.h"

/* What a path of the definition goes through: an attribute, a member of a map, an element of a list. */
typedef struct {
    Py_ssize_t map, opens; /* the map or list that it is in; the one that it is, or -1 */
    Text name;             /* of an element its index in digits */
    int is_taken, is_list; /* by a column, as it is; what it opens is a list */
    const Py_ssize_t *uses; /* the numbers of the steps that use it */
    Py_ssize_t use_count;
    Py_ssize_t next; /* of those whose names fall together, or -1 */
    bool is_kept;    /* whether its value is needed when all have been read */
    bool is_simple;  /* whether one step takes it as it is, and nothing else does */
} Attribute;

#define BUCKETS 64

typedef struct {
    PyObject *arguments, *kept; /* hold what steps, sources, attributes and conditions point to */
    Step *steps;
    Attribute *attributes;
    Source *sources; /* one a step */
    Condition *conditions; /* which items the table takes, then those of others */
    PyObject *answers; /* a tuple of numbers, one a condition: the reason that is given where one of others holds; -1: why the first does not */
    Py_ssize_t *uses;
    Py_ssize_t buckets[BUCKETS]; /* the first attribute of each, or -1 */
    Py_ssize_t step_count, attribute_count, map_count, value_count, condition_count;
    bool has_item, has_rest; /* whether a step takes the item, or its rest */
} Plan;

static inline size_t bucket_of(Text name) {
    return name.size == 0 ? 0 : (name.size * 5 + name.bytes[0] * 3u + name.bytes[name.size - 1]) % BUCKETS;
}

/* Fill an empty plan with the arguments of SoundRows; -1 with an exception where they are none. What it has by then `free_plan` frees. */
int take_plan(Plan *plan, PyObject *arguments);

/* All but `arguments` and `kept`, which the collector clears. */
void free_plan(Plan *plan);

#endif
