/* Attribute values to fields: UUIDs, timestamps, and JSONB text that is the same to the byte as orjson writes it for `values.py`. */

#pragma once
#include "reader.h"

/* Of 13 digits. */
#define MOST_MILLISECONDS 9999999999999LL

/* 8-4-4-4-12 hexadecimal ASCII digits, either case. */
bool read_uuid(Text text, unsigned char uuid[16]);

/* Milliseconds as nearly all are written: 13 digits, the first no zero, and perhaps up to three of a fraction. */
Outcome read_microseconds(Reader *reader, int64_t earliest, int64_t latest, int64_t *microseconds);

/* The field of an instant. */
Outcome put_timestamptz(Row *row, int64_t microseconds);

/* JSON of the content of an attribute value with this tag, `nesting` containers deep. */
Outcome put_content(Row *row, Reader *reader, Text tag, int nesting);
