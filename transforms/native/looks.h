/* What a text or a number looks like, as `pipeline/inspection` tells it: never what it says. */

#pragma once
#include "times.h"
#include "values.h"

/* The kinds of strings, as `names.py` has them, but for those with U+0000 or half a surrogate pair, which no sound line has here. */
#define EACH_SHAPE(SHAPE)                                                                                                       \
    SHAPE(EMPTY, "empty") SHAPE(A_UUID, "uuid") SHAPE(ALL_DIGITS, "digits") SHAPE(NUMBER, "number") SHAPE(A_DATE, "date")        \
    SHAPE(A_TIMESTAMP, "timestamp") SHAPE(HEX, "uuid without dashes") SHAPE(UPPER_CASE_WORD, "upper-case word")                 \
    SHAPE(WORD, "word") SHAPE(URL, "url") SHAPE(E_MAIL, "e-mail") SHAPE(BLANK, "blank") SHAPE(CONTROLS, "with control characters") \
    SHAPE(LOOKS_LIKE_JSON, "json") SHAPE(PROSE, "text")
#define SHAPE_MEMBER(member, text) member,
typedef enum { EACH_SHAPE(SHAPE_MEMBER) SHAPES } Shape;

typedef enum { NO_FORM, FORM_DATE, FORM_WITH_ZONE, FORM_WITHOUT_ZONE, FORM_INVALID } TimeForm;
typedef enum { NO_NUMBER, JSON_INTEGER, JSON_FRACTION } Digits;

/* A string: its kind, how it says a time if it does, which JSON number it is if it is digits. */
typedef struct {
    Shape shape;
    TimeForm form;
    bool is_out_of_bounds; /* of a time: before 2000 or after 2100 */
    Digits digits;
    size_t characters;
} Look;

/* Called once, before all else. */
void prepare_looks(void);

/* NOT_SURE for what has the beginning of a time and is none that is known here. The text is sound UTF-8. */
Outcome look_at(Text text, Look *look);

/* A number, exactly. `whole` where it is a whole number of at most 18 digits; `decimal`, without zeros at its end, where it is none. */
typedef struct {
    bool is_plain; /* 1 to 18 digits and nothing else, the first no zero: of others more is said */
    bool is_whole, is_canonical;
    int before, after, significant; /* digits: before the point, behind it, without zeros at the end */
    int unit;                       /* 1 to 3: seconds, milliseconds, microseconds from 2000 to 2100; 0: no such time */
    int64_t whole;
    Decimal decimal;
} Number;

/* False for what is no number or one that Python must look at. */
bool read_number(Text text, Number *number);

/* The least and the greatest of numbers, whole ones and others. */
typedef struct {
    bool has_whole, has_decimal;
    int64_t least, greatest;
    Decimal least_decimal, greatest_decimal;
} Extremes;

void measure_number(Extremes *extremes, const Number *number);
