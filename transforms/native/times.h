/* Times: numbers since 1970, and texts in ISO 8601, exactly to the microsecond. */

#pragma once
#include "numbers.h"

/* Microseconds from 1970-01-01 to 2000-01-01, and days. */
#define POSTGRES_EPOCH 946684800000000LL
#define DAYS_TO_2000 10957
#define MICROSECONDS_OF_DAY 86400000000LL

/* Of 13 digits. */
#define MOST_MILLISECONDS 9999999999999LL

/* Milliseconds as nearly all are written: 13 digits, the first no zero, and perhaps up to three of a fraction. Bounds in milliseconds. */
bool read_milliseconds(Text text, int64_t earliest, int64_t latest, int64_t *microseconds);

/* A number times 10^power; in whichever of s, ms and us it is within the bounds, in microseconds, if the power is -1. */
bool read_epoch(Text text, int power, int64_t earliest, int64_t latest, int64_t *microseconds);

/* A date and a time of day: microseconds since 1970 on its own clock, and how far ahead of UTC it says that is, if it does. */
bool read_iso(Text text, int64_t *clock, int64_t *offset, bool *has_offset);

/* Days since 1970; microseconds since midnight. */
bool read_iso_date(Text text, int64_t *days);
bool read_iso_time(Text text, int64_t *microseconds);

/* A span as P1Y2M3W4DT5H6M7.8S: months, days and microseconds. */
typedef struct {
    int64_t months, days, microseconds;
} Span;
bool read_iso_span(Text text, Span *span);

/* The field of an instant, or of a time of no zone, from microseconds since 1970. */
Outcome put_timestamptz(Row *row, int64_t microseconds);
