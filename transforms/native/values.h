/* UUIDs, timestamps and numbers, of texts that stand as they are. */

#pragma once
#include "reader.h"

/* Microseconds from 1970-01-01 to 2000-01-01. */
#define POSTGRES_EPOCH 946684800000000LL
/* Of 13 digits. */
#define MOST_MILLISECONDS 9999999999999LL
/* A number of at most so many characters cannot leave DynamoDB's range: without an exponent, with one of two digits. */
#define SURELY_IN_RANGE 120
#define SURELY_IN_RANGE_WITH_EXPONENT 25

/* 8-4-4-4-12 hexadecimal ASCII digits, either case. */
static bool read_uuid(Text text, unsigned char uuid[16]) {
    if (text.size != 36) return false;
    const unsigned char *at = text.bytes;
    for (int byte = 0; byte < 16; byte++) {
        if ((byte == 4 || byte == 6 || byte == 8 || byte == 10) && *at++ != '-') return false;
        unsigned char high = DIGITS[at[0]], low = DIGITS[at[1]];
        if (high == 0 || low == 0) return false;
        uuid[byte] = (unsigned char)((high - 1) << 4 | (low - 1));
        at += 2;
    }
    return true;
}

static size_t digits_at(Text text, size_t at) {
    size_t digits = 0;
    while (at + digits < text.size && text.bytes[at + digits] >= '0' && text.bytes[at + digits] <= '9') digits++;
    return digits;
}

/* Milliseconds as nearly all are written: 13 digits, the first no zero, and perhaps up to three of a fraction. */
static Outcome read_microseconds(Reader *reader, int64_t earliest, int64_t latest, int64_t *microseconds) {
    Text text;
    TRY(read_plain(reader, &text));
    size_t fraction = text.size > 14 && text.bytes[13] == '.' ? text.size - 14 : 0;
    bool is_usual = digits_at(text, 0) == 13 && text.bytes[0] != '0' && fraction <= 3 && text.size == (fraction ? 14 + fraction : 13);
    if (!is_usual || (fraction && digits_at(text, 14) != fraction)) return NOT_SURE;
    int64_t number = 0;
    for (size_t at = 0; at < 17; at++) {
        if (at != 13) number = number * 10 + (at < text.size ? text.bytes[at] - '0' : 0);
    }
    *microseconds = number;
    return number >= earliest * 1000 && number <= latest * 1000 ? DONE : NOT_SURE;
}

static Outcome put_timestamptz(Row *row, int64_t microseconds) {
    uint64_t since = (uint64_t)(microseconds - POSTGRES_EPOCH);
    unsigned char field[12];
    set_length(field, 8);
    set_length(field + 4, (uint32_t)(since >> 32));
    set_length(field + 8, (uint32_t)since);
    return put(row, field, sizeof field);
}

/* A JSON number, digit by digit as it is. */
static Outcome put_number(Row *row, Reader *reader) {
    Text text;
    TRY(read_plain(reader, &text));
    if (text.size > SURELY_IN_RANGE) return NOT_SURE;
    size_t at = text.size > 0 && text.bytes[0] == '-' ? 1 : 0;
    size_t digits = digits_at(text, at);
    if (digits == 0 || (digits > 1 && text.bytes[at] == '0')) return NOT_SURE;
    at += digits;
    if (at < text.size && text.bytes[at] == '.') {
        digits = digits_at(text, at + 1);
        if (digits == 0) return NOT_SURE;
        at += 1 + digits;
    }
    if (at < text.size && (text.bytes[at] | 0x20) == 'e') {
        bool is_signed = at + 1 < text.size && (text.bytes[at + 1] == '+' || text.bytes[at + 1] == '-');
        at += is_signed ? 2 : 1;
        digits = digits_at(text, at);
        if (digits == 0 || digits > 2 || text.size > SURELY_IN_RANGE_WITH_EXPONENT) return NOT_SURE;
        at += digits;
    }
    return at == text.size ? put(row, text.bytes, text.size) : NOT_SURE;
}
