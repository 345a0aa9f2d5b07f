/* Which kind an item is of, and what is looked for in items of a kind: `pipeline/drafts/survey.py` in short. */

#pragma once
#include "figures.h"

#define MOST_WATCHED 64
/* Of a composite string. */
#define MOST_PARTS 8
/* What tells kinds apart, and a key: so many attributes at most. */
#define MOST_NAMES 2

/* What a line has of an attribute that is looked for: its tag, S, N or B (0: none of these), and what it says. */
typedef struct {
    char tag;
    Text text;
} Watched;

/* An attribute by its number among those that are watched, as a whole (part -1) or a part of it. */
typedef struct {
    Py_ssize_t watched, part;
} Slot;

typedef struct {
    Py_ssize_t watched;
    PyObject *literals; /* a tuple of bytes: before, between and behind the parts */
    size_t part_count;
    uint64_t alike, unlike; /* strings that are made so, and others */
    Figures *figures;       /* of each part */
    bool is_split;          /* of the line: whether its string is made so; then its parts */
    Text texts[MOST_PARTS];
    Look looks[MOST_PARTS];
} Pattern;

typedef struct {
    Slot slot, source;
    uint64_t alike, unlike;
} Repeat;

typedef struct {
    Pattern *patterns;
    Repeat *repeats;
    size_t pattern_count, repeat_count;
} KindPlan;

/* Of (patterns, repeats), or of NULL, which is nothing; -1 with an exception where that cannot be. `free_kind_plan` frees what it has then. */
int take_kind_plan(PyObject *described, Py_ssize_t watched, KindPlan *plan);
void free_kind_plan(KindPlan *plan);

/* The parts of a line's strings, then, once the line is known to be sound, count them. */
Outcome look_at_parts(KindPlan *plan, const Watched *watched);
Outcome count_parts(KindPlan *plan, const Watched *watched, bool has_evidence);

/* (alike, unlike, figures of the parts) of each pattern, (alike, unlike) of each repeat; and forget them. */
PyObject *take_parts(KindPlan *plan);

/* The name of the kind that strings tell: one text that a program has written, or the beginnings of keys. */
Outcome put_kind(Row *name, const Text *texts, size_t count, bool is_by_prefix);
