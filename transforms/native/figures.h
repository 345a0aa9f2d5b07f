/* What is counted of the values of one attribute: as `Attribute` and `Evidence` in `pipeline/inspection`. */

#pragma once
#include "looks.h"

/* An attribute with more different texts, or with a longer one, has no list of them. */
#define MOST_TEXTS 20
#define MOST_CHARACTERS 64

/* Of an attribute's values: as the tallies of `Attribute` and `Evidence`. Those of shapes and of forms in the order of their enums. */
#define EACH_COUNT(COUNT)                                                                                                              \
    COUNT(OF_VALID, "numbers", "valid") COUNT(OF_NON_CANONICAL, "numbers", "non_canonical") COUNT(OF_ZEROS, "numbers", "zeros")        \
    COUNT(OF_NEGATIVE, "numbers", "negative") COUNT(OF_FRACTIONAL, "numbers", "fractional")                                            \
    COUNT(OF_SECONDS, "epoch", "seconds") COUNT(OF_MILLISECONDS, "epoch", "milliseconds") COUNT(OF_MICROSECONDS, "epoch", "microseconds") \
    COUNT(OF_DATES, "times", "date") COUNT(OF_WITH_ZONE, "times", "with zone") COUNT(OF_WITHOUT_ZONE, "times", "without zone")          \
    COUNT(OF_INVALID_TIMES, "times", "invalid") COUNT(OF_OUT_OF_BOUNDS, "times", "out of bounds")                                      \
    COUNT(OF_INTEGERS, "digits", "integers") COUNT(OF_FRACTIONS, "digits", "fractions")                                                \
    COUNT(OF_SETS_OF_UUIDS, "sets", "uuids") COUNT(OF_SETS_OF_TEXTS, "sets", "texts")                                                  \
    COUNT(OF_INTEGERS_OF_SETS, "numbers_of_sets", "integers") COUNT(OF_FRACTIONS_OF_SETS, "numbers_of_sets", "fractions")
#define COUNT_MEMBER(member, group, key) member,
enum { EACH_COUNT(COUNT_MEMBER) OTHER_COUNTS };
#define COUNTS (OTHER_COUNTS + SHAPES)

#define EACH_EXTENT(EXTENT)                                                                                                          \
    EXTENT(CHARACTERS, "characters") EXTENT(UTF8_BYTES, "utf8_bytes") EXTENT(MAP_MEMBERS, "map_members")                               \
    EXTENT(LIST_ELEMENTS, "list_elements") EXTENT(DEPTH, "depth") EXTENT(BINARY_BYTES, "binary_bytes")                                 \
    EXTENT(SET_MEMBERS, "set_members") EXTENT(BEFORE_POINT, "digits_before_point") EXTENT(SIGNIFICANT, "significant_digits")           \
    EXTENT(AFTER_POINT, "digits_after_point")
#define EXTENT_MEMBER(member, name) member,
enum { EACH_EXTENT(EXTENT_MEMBER) EXTENTS };

typedef struct {
    bool is_known;
    int64_t least, greatest;
} Extent;

static inline void measure(Extent *extent, int64_t size) {
    if (!extent->is_known || size < extent->least) extent->least = size;
    if (!extent->is_known || size > extent->greatest) extent->greatest = size;
    extent->is_known = true;
}

typedef struct {
    uint64_t count;
    size_t size;
    unsigned char bytes[4 * MOST_CHARACTERS];
} Known;

/* Of an attribute. */
typedef struct {
    uint64_t counts[COUNTS];
    Extent extents[EXTENTS];
    Extremes numbers, integers_of_sets;
    Known *texts; /* MOST_TEXTS of them */
    size_t text_count;
    bool has_many_texts;
} Figures;

/* Take in a string or a number that was looked at. With `has_evidence` also what a draft needs. */
Outcome count_string(Figures *figures, Text text, const Look *look, bool has_evidence);
void count_number(Figures *figures, const Number *number);

/* -- what was counted, for Python ------------------------------------------------------------------------------------------------------ */

/* Add a new object to a list; false with an exception where that cannot be. */
bool append(PyObject *list, PyObject *made);

/* (name, least) and (name, greatest), if there are any. */
bool append_extent(PyObject *list, const char *name, const Extent *extent);

/* (counts, sizes, texts, whether those are many); None of NULL. */
PyObject *figures_of(const Figures *figures);

void free_figures(Figures *figures);

Outcome no_memory(void);
