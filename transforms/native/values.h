/* UUIDs, timestamps and numbers, of texts that stand as they are. */

#pragma once
#include "reader.h"

#define POSTGRES_EPOCH_MILLISECONDS 946684800000LL
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

/* A timestamp as nearly every one looks: 13 digits, the first no zero. */
static Outcome read_milliseconds(Reader *reader, int64_t earliest, int64_t latest, int64_t *milliseconds) {
    Text text;
    TRY(read_plain(reader, &text));
    if (text.size != 13 || text.bytes[0] == '0') return NOT_SURE;
    int64_t number = 0;
    for (int digit = 0; digit < 13; digit++) {
        if (text.bytes[digit] < '0' || text.bytes[digit] > '9') return NOT_SURE;
        number = number * 10 + (text.bytes[digit] - '0');
    }
    *milliseconds = number;
    return number >= earliest && number <= latest ? DONE : NOT_SURE;
}

static Outcome put_timestamptz(Row *row, int64_t milliseconds) {
    uint64_t microseconds = (uint64_t)((milliseconds - POSTGRES_EPOCH_MILLISECONDS) * 1000);
    unsigned char field[12];
    set_length(field, 8);
    set_length(field + 4, (uint32_t)(microseconds >> 32));
    set_length(field + 8, (uint32_t)microseconds);
    return put(row, field, sizeof field);
}

static size_t digits_at(Text text, size_t at) {
    size_t digits = 0;
    while (at + digits < text.size && text.bytes[at + digits] >= '0' && text.bytes[at + digits] <= '9') digits++;
    return digits;
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
