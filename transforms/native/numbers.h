/* Numbers as decimals, digit by digit, and the fields made of them; never through a float but where the column is one. */

#pragma once
#include "reader.h"

/* More digits than DynamoDB's own 38; numbers with more go the way in Python. */
#define MOST_DIGITS 60

/* digits * 10^exponent. The first digit is no zero; of zero there are none. Zeros at the end of a fraction are kept. */
typedef struct {
    unsigned char digits[MOST_DIGITS]; /* 0 to 9 */
    int count, exponent;
    bool is_negative;
} Decimal;

/* A JSON number inside DynamoDB's range; with `is_padded` zeros may stand in front. */
bool read_decimal(Text text, bool is_padded, Decimal *number);

/* The whole number that is number * 10^power, if it is one of at most 18 digits, or of 19 that fit. */
bool to_whole(Decimal number, int power, int64_t *whole);

/* Fields of whole numbers of `size` bytes, both bounds valid; of numerics, with `scale` digits behind the point if `precision` is not 0. */
Outcome put_integer(Row *row, const Decimal *number, long long size, int64_t least, int64_t most);
Outcome put_numeric(Row *row, Decimal number, long long precision, long long scale);
bool is_within(const Decimal *number, int64_t least, int64_t most);

/* Fields of floats that are written as the number: of nine bytes and five. */
Outcome put_double(Row *row, Decimal number);
Outcome put_real(Row *row, Decimal number);

/* An integer of `size` bytes, most significant first, behind its length. */
Outcome put_whole(Row *row, int64_t whole, size_t size);
