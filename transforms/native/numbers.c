#include "numbers.h"

#include <float.h>

/* Of what DynamoDB holds, the power of ten of the first digit. */
#define LEAST_FIRST -130
#define MOST_FIRST 125
/* Without a limit a numeric has at most so many digits behind the point here, which is more than any number of 60 digits needs. */
#define MOST_SCALE 200

static bool is_digit(unsigned char byte) { return byte >= '0' && byte <= '9'; }

bool read_decimal(Text text, bool is_padded, Decimal *number) {
    const unsigned char *at = text.bytes, *end = text.bytes + text.size;
    number->count = number->exponent = 0;
    number->is_negative = at < end && *at == '-';
    if (number->is_negative) at++;
    if (at == end || !is_digit(*at)) return false;
    if (!is_padded && *at == '0' && at + 1 < end && is_digit(at[1])) return false;
    bool is_fraction = false;
    for (; at < end; at++) {
        if (*at == '.' && !is_fraction) {
            is_fraction = true;
            if (at + 1 == end || !is_digit(at[1])) return false;
            continue;
        }
        if (!is_digit(*at)) break;
        if (number->count > 0 || *at != '0') {
            if (number->count == MOST_DIGITS) return false;
            number->digits[number->count++] = (unsigned char)(*at - '0');
        }
        number->exponent -= is_fraction;
    }
    if (at < end && (*at | 0x20) == 'e') {
        int exponent = 0, digits = 0;
        bool is_negative = ++at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) at++;
        for (; at < end && is_digit(*at); at++) {
            if (++digits > 4) return false;
            exponent = exponent * 10 + *at - '0';
        }
        if (digits == 0) return false;
        number->exponent += is_negative ? -exponent : exponent;
    }
    if (at != end || text.size > 250) return false;
    if (number->count == 0) return true;
    int first = number->count - 1 + number->exponent;
    return first >= LEAST_FIRST && first <= MOST_FIRST;
}

/* Without the zeros at the end, as far as they are behind 10^least. */
static void strip_to(Decimal *number, int least) {
    while (number->count > 0 && number->exponent < least && number->digits[number->count - 1] == 0) {
        number->count--;
        number->exponent++;
    }
    if (number->count == 0 && number->exponent < least) number->exponent = least;
}

/* The digits alone; at most 19 of them. */
static uint64_t digits_of(const Decimal *number) {
    uint64_t digits = 0;
    for (int index = 0; index < number->count; index++) digits = digits * 10 + number->digits[index];
    return digits;
}

bool to_whole(Decimal number, int power, int64_t *whole) {
    number.exponent += power;
    strip_to(&number, 0);
    if (number.count == 0) {
        *whole = 0;
        return true;
    }
    if (number.exponent < 0 || number.count + number.exponent > 19) return false;
    while (number.exponent > 0) {
        number.digits[number.count++] = 0;
        number.exponent--;
    }
    uint64_t digits = digits_of(&number), limit = (uint64_t)INT64_MAX + number.is_negative;
    if (digits > limit) return false;
    *whole = number.is_negative ? (int64_t)(0 - digits) : (int64_t)digits;
    return true;
}

Outcome put_whole(Row *row, int64_t whole, size_t size) {
    unsigned char field[12];
    set_length(field, (uint32_t)size);
    for (size_t byte = 0; byte < size; byte++) field[4 + byte] = (unsigned char)((uint64_t)whole >> (8 * (size - 1 - byte)));
    return put(row, field, 4 + size);
}

Outcome put_integer(Row *row, const Decimal *number, long long size, int64_t least, int64_t most) {
    int64_t whole;
    if (!to_whole(*number, 0, &whole) || whole < least || whole > most) return NOT_SURE;
    return put_whole(row, whole, (size_t)size);
}

/* By the whole numbers below and above it; not sure of those of more than 18 digits. */
bool is_within(const Decimal *number, int64_t least, int64_t most) {
    Decimal part = *number;
    bool is_whole = true;
    while (part.exponent < 0 && part.count > 0) {
        is_whole = part.digits[--part.count] == 0 && is_whole;
        part.exponent++;
    }
    part.exponent = part.count == 0 ? 0 : part.exponent;
    int64_t towards_zero;
    if (part.count + part.exponent > 18 || !to_whole(part, 0, &towards_zero)) return false;
    int64_t floor = towards_zero - (!is_whole && number->is_negative), ceiling = towards_zero + (!is_whole && !number->is_negative);
    return floor >= least && ceiling <= most;
}

/* -- numeric --------------------------------------------------------------------------------------------------------------------------- */

static void set_short(unsigned char *at, int value) {
    at[0] = (unsigned char)((unsigned)value >> 8);
    at[1] = (unsigned char)value;
}

/* Groups of four digits, counted from the point, without groups of zeros at either end. */
Outcome put_numeric(Row *row, Decimal number, long long precision, long long scale) {
    unsigned char field[4 + 8 + 2 * (MOST_DIGITS + MOST_SCALE + 8) / 4], digits[MOST_DIGITS + MOST_SCALE + 16] = {0};
    if (precision > 0) strip_to(&number, (int)-scale);
    int behind = precision > 0 ? (int)scale : number.exponent < 0 ? -number.exponent : 0;
    if (-number.exponent > behind || behind > MOST_SCALE) return NOT_SURE;
    /* Before the point, zeros included that the exponent stands for. */
    int before = number.count == 0 ? 0 : number.count + number.exponent;
    if (precision > 0 && before > precision - scale) return NOT_SURE;
    if (before > MOST_DIGITS) return NOT_SURE;
    int whole_groups = before > 0 ? (before + 3) / 4 : 0, groups = whole_groups + (behind + 3) / 4;
    int at = whole_groups * 4 - before;
    memcpy(digits + at, number.digits, (size_t)number.count);
    int first = 0, count = 0;
    for (int group = 0; group < groups; group++) {
        const unsigned char *four = digits + 4 * group;
        int value = ((four[0] * 10 + four[1]) * 10 + four[2]) * 10 + four[3];
        if (value == 0 && count == 0) {
            first = group + 1;
            continue;
        }
        set_short(field + 12 + 2 * count++, value);
    }
    while (count > 0 && field[12 + 2 * count - 2] == 0 && field[12 + 2 * count - 1] == 0) count--;
    set_length(field, (uint32_t)(8 + 2 * count));
    set_short(field + 4, count);
    set_short(field + 6, count > 0 ? whole_groups - 1 - first : 0);
    set_short(field + 8, number.is_negative && count > 0 ? 0x4000 : 0);
    set_short(field + 10, behind);
    return put(row, field, (size_t)(12 + 2 * count));
}

/* -- floats ---------------------------------------------------------------------------------------------------------------------------- */

static const double POWERS_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The nearest float of eight bytes. Of 15 digits and a power of ten that is exact, one operation rounds once (Clinger, 1990). */
static Outcome to_double(const Decimal *number, double *value) {
    if (number->count == 0) {
        *value = number->is_negative ? -0.0 : 0.0;
        return DONE;
    }
#if FLT_EVAL_METHOD == 0
    if (number->count <= 15 && number->exponent >= -22 && number->exponent <= 22) {
        double digits = (double)digits_of(number);
        *value = number->exponent < 0 ? digits / POWERS_OF_TEN[-number->exponent] : digits * POWERS_OF_TEN[number->exponent];
        if (number->is_negative) *value = -*value;
        return DONE;
    }
#endif
    char text[MOST_DIGITS + 16], *end;
    size_t size = 0;
    if (number->is_negative) text[size++] = '-';
    for (int index = 0; index < number->count; index++) text[size++] = (char)('0' + number->digits[index]);
    PyOS_snprintf(text + size, 14, "e%d", number->exponent);
    *value = PyOS_string_to_double(text, &end, NULL);
    if (*value == -1.0 && PyErr_Occurred()) return FAILED;
    return *end == '\0' ? DONE : NOT_SURE;
}

/* Whether a float is written with these digits, which have no zeros at the end. */
static Outcome is_written_as(double value, const Decimal *number) {
    Decimal written;
    char *text = PyOS_double_to_string(value, 'r', 0, 0, NULL);
    if (text == NULL) return FAILED;
    bool is_read = read_decimal((Text){(const unsigned char *)text, strlen(text)}, false, &written);
    PyMem_Free(text);
    if (!is_read) return NOT_SURE;
    strip_to(&written, INT32_MAX);
    bool is_same = written.count == number->count && written.exponent == number->exponent && written.is_negative == number->is_negative;
    return is_same && memcmp(written.digits, number->digits, (size_t)number->count) == 0 ? DONE : NOT_SURE;
}

/* Whether a number of 16 or 17 digits below 2^53 might be halfway between two floats: then it is a whole number of some 2^-k, so that
   5^k divides its digits. */
static bool may_be_halfway(const Decimal *number) {
    uint64_t digits = digits_of(number);
    int power = -number->exponent;
    for (; power > 0 && digits % 5 == 0; power--) digits /= 5;
    return power <= 0;
}

/* A number of at most 15 digits below 10^15 is what the nearest float is written as (DBL_DIG); of others it must be seen. */
Outcome put_double(Row *row, Decimal number) {
    strip_to(&number, INT32_MAX);
    int first = number.count - 1 + number.exponent;
    if (number.count > 17 || (number.count > 0 && first > 14)) return NOT_SURE;
    double value;
    TRY(to_double(&number, &value));
    if (number.count > 15) {
        if (may_be_halfway(&number)) return NOT_SURE;
        TRY(is_written_as(value, &number));
    }
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_whole(row, bits, 8);
}

/* The same of six digits (FLT_DIG), where the way over eight bytes does not round to a number halfway between two floats. */
Outcome put_real(Row *row, Decimal number) {
    strip_to(&number, INT32_MAX);
    int first = number.count - 1 + number.exponent;
    if (number.count > 6 || (number.count > 0 && (first > 5 || first < -36))) return NOT_SURE;
    double value;
    TRY(to_double(&number, &value));
    uint64_t wide;
    memcpy(&wide, &value, sizeof wide);
    if ((wide & 0x1FFFFFFF) == 0x10000000) return NOT_SURE;
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return put_whole(row, bits, 4);
}
