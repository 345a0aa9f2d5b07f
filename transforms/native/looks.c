#include "looks.h"

/* Longer strings, in characters, are of no kind that the pattern in `names.py` knows. */
#define SHORT 512
/* So many characters of a long string are looked at, and so much white space may stand around JSON. */
#define PREFIX 4096
#define MARGIN 64
#define MOST_LOCAL 64 /* characters before the @ of an address */
#define MOST_SCHEME 21

/* 2000-01-01 and 2100-01-01, both still inside. */
#define EARLIEST 946684800LL
#define LATEST 4102444800LL
/* The first and the last microsecond that Python's datetime has. */
#define FIRST_MICROSECOND -62135596800000000LL
#define LAST_MICROSECOND 253402300799999999LL

/* -- characters ----------------------------------------------------------------------------------------------------------------------- */

/* What a character is; of a text those that all of its characters are, and those that any is. */
enum { IS_UPPER = 1, IS_WORD = 2, IS_HEX = 4, IS_SPACE = 8, IS_LOW = 16, IS_UNWELCOME = 32 };

static bool is_between(unsigned char byte, unsigned char first, unsigned char last) { return byte >= first && byte <= last; }

static unsigned class_of(unsigned char byte) {
    unsigned class = 0;
    bool is_digit = is_between(byte, '0', '9'), is_capital = is_between(byte, 'A', 'Z'), is_small = is_between(byte, 'a', 'z');
    if (is_digit || is_capital || byte == '_' || byte == '-') class |= IS_UPPER | IS_WORD;
    if (is_small) class |= IS_WORD;
    if (is_digit || is_between(byte, 'a', 'f') || is_between(byte, 'A', 'F')) class |= IS_HEX;
    if (is_between(byte, 0x09, 0x0D) || is_between(byte, 0x1C, 0x20)) class |= IS_SPACE;
    if (byte < 0x20) class |= IS_LOW;
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) class |= IS_UNWELCOME;
    return class;
}

static unsigned class_of_wide(uint32_t character) {
    unsigned class = 0;
    if (Py_UNICODE_ISALNUM(character)) class |= IS_WORD;
    if (Py_UNICODE_ISSPACE(character)) class |= IS_SPACE;
    if (character <= 0x9F && character != 0x85) class |= IS_UNWELCOME;
    return class;
}

/* By byte, of ASCII. */
static unsigned char classes[128];

void prepare_looks(void) {
    for (unsigned byte = 0; byte < 128; byte++) classes[byte] = (unsigned char)class_of((unsigned char)byte);
}

/* A character of several bytes, of sound UTF-8. */
static uint32_t wide_at(const unsigned char *at, size_t *size) {
    *size = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    uint32_t character = at[0] & (0xFFu >> (*size + 1));
    for (size_t byte = 1; byte < *size; byte++) character = character << 6 | (at[byte] & 0x3F);
    return character;
}

typedef struct {
    size_t characters, first, last; /* of those that are no space: numbers of the first and the last */
    unsigned char first_byte, last_byte;
    unsigned all, any, any_early; /* `any_early`: of the first `PREFIX` */
    size_t ats, at, last_dot;     /* numbers of characters; of the dots after the @ the last, or 0 */
} Scan;

static Scan scan(Text text) {
    Scan scan = {.all = IS_UPPER | IS_WORD | IS_HEX | IS_SPACE};
    for (size_t at = 0; at < text.size; scan.characters++) {
        unsigned char byte = text.bytes[at];
        size_t size = 1;
        unsigned class = byte < 0x80 ? classes[byte] : class_of_wide(wide_at(text.bytes + at, &size));
        at += size;
        scan.all &= class;
        scan.any |= class;
        if (scan.characters < PREFIX) scan.any_early |= class;
        if (class & IS_WORD) {
            scan.last_byte = byte;
            scan.last = scan.characters;
            if (scan.first_byte == 0) scan.first_byte = byte, scan.first = scan.characters;
            continue;
        }
        if (class & IS_SPACE) continue;
        scan.last_byte = byte;
        scan.last = scan.characters;
        if (scan.first_byte == 0) scan.first_byte = byte, scan.first = scan.characters;
        if (byte == '@' && scan.ats++ == 0) scan.at = scan.characters;
        if (byte == '.' && scan.ats > 0) scan.last_dot = scan.characters;
    }
    return scan;
}

/* -- kinds ---------------------------------------------------------------------------------------------------------------------------- */

static bool is_digit(unsigned char byte) { return is_between(byte, '0', '9'); }

static size_t digits_from(Text text, size_t at) {
    size_t begin = at;
    while (at < text.size && is_digit(text.bytes[at])) at++;
    return at - begin;
}

/* Digits, or a number as nobody but JSON is strict about: +5, 007, .5, 5. */
static bool looks_like_number(Text text, Look *look) {
    bool is_signed = text.bytes[0] == '+' || text.bytes[0] == '-';
    size_t at = is_signed, before = digits_from(text, at), behind = 0;
    bool is_padded = before > 1 && text.bytes[at] == '0', has_point = false, has_exponent = false;
    at += before;
    if (at < text.size && text.bytes[at] == '.') {
        has_point = true;
        behind = digits_from(text, ++at);
        at += behind;
    }
    if (before == 0 && behind == 0) return false;
    if (at < text.size && (text.bytes[at] | 0x20) == 'e') {
        has_exponent = true;
        at++;
        if (at < text.size && (text.bytes[at] == '+' || text.bytes[at] == '-')) at++;
        size_t digits = digits_from(text, at);
        if (digits == 0) return false;
        at += digits;
    }
    if (at != text.size) return false;
    bool is_json = before > 0 && !is_padded && (!has_point || behind > 0) && text.bytes[0] != '+';
    look->shape = is_signed || has_point || has_exponent ? NUMBER : ALL_DIGITS;
    look->digits = !is_json ? NO_NUMBER : has_point || has_exponent ? JSON_FRACTION : JSON_INTEGER;
    return true;
}

static bool begins_with_date(Text text) {
    static const unsigned char PLACES[] = {0, 1, 2, 3, 5, 6, 8, 9};
    if (text.size < 10 || text.bytes[4] != '-' || text.bytes[7] != '-') return false;
    for (size_t index = 0; index < sizeof PLACES; index++) {
        if (!is_digit(text.bytes[PLACES[index]])) return false;
    }
    return true;
}

static Outcome look_at_time(Text text, Look *look) {
    int64_t clock, offset;
    bool has_offset;
    if (!read_iso(text, &clock, &offset, &has_offset)) return NOT_SURE;
    clock -= offset;
    if (clock < FIRST_MICROSECOND || clock > LAST_MICROSECOND) return NOT_SURE;
    look->shape = A_TIMESTAMP;
    look->form = has_offset ? FORM_WITH_ZONE : FORM_WITHOUT_ZONE;
    look->is_out_of_bounds = clock < EARLIEST * 1000000 || clock > LATEST * 1000000;
    return DONE;
}

/* Of letters, digits and +.-, up to where :// begins. */
static bool begins_with_scheme(Text text, size_t *size) {
    *size = 0;
    while (*size < text.size && *size <= MOST_SCHEME) {
        unsigned char byte = text.bytes[*size];
        bool is_letter = is_between((unsigned char)(byte | 0x20), 'a', 'z');
        if (!is_letter && (*size == 0 || !(is_digit(byte) || byte == '+' || byte == '.' || byte == '-'))) break;
        ++*size;
    }
    return *size >= 2 && *size <= MOST_SCHEME && text.size - *size >= 3 && memcmp(text.bytes + *size, "://", 3) == 0;
}

static bool is_e_mail(const Scan *scan) {
    bool is_plain = scan->ats == 1 && !(scan->any & (IS_SPACE | IS_LOW));
    return is_plain && scan->at >= 1 && scan->at <= MOST_LOCAL && scan->last_dot > scan->at + 1 && scan->last_dot + 1 < scan->characters;
}

static bool is_in_brackets(const Scan *scan) {
    bool is_pair = (scan->first_byte == '{' && scan->last_byte == '}') || (scan->first_byte == '[' && scan->last_byte == ']');
    return is_pair && scan->first < MARGIN && scan->last + MARGIN >= scan->characters;
}

static Shape shape_of(Text text, const Scan *scan) {
    size_t scheme;
    if (scan->characters <= SHORT) {
        if (text.size == 32 && scan->all & IS_HEX) return HEX;
        if (scan->all & IS_UPPER && is_between(text.bytes[0], 'A', 'Z')) return UPPER_CASE_WORD;
        if (scan->all & IS_WORD) return WORD;
        bool is_url = begins_with_scheme(text, &scheme) && text.size > scheme + 3 && !(scan->any & IS_SPACE);
        if (is_url) return URL;
        if (is_e_mail(scan)) return E_MAIL;
    }
    if (scan->all & IS_SPACE) return BLANK;
    if (scan->any_early & IS_UNWELCOME) return CONTROLS;
    if (is_in_brackets(scan)) return LOOKS_LIKE_JSON;
    return begins_with_scheme(text, &scheme) && !(scan->any_early & IS_SPACE) ? URL : PROSE;
}

Outcome look_at(Text text, Look *look) {
    unsigned char uuid[16];
    *look = (Look){.characters = text.size};
    if (text.size == 0) return DONE;
    if (text.size <= SHORT) {
        if (read_uuid(text, uuid)) {
            look->shape = A_UUID;
            return DONE;
        }
        if (looks_like_number(text, look)) return DONE;
        if (begins_with_date(text)) {
            if (text.size == 10) {
                int64_t days;
                look->shape = A_DATE;
                look->form = read_iso_date(text, &days) ? FORM_DATE : FORM_INVALID;
                return DONE;
            }
            if ((text.bytes[10] | 0x20) == 't' || text.bytes[10] == ' ') return look_at_time(text, look);
        }
    }
    Scan scanned = scan(text);
    look->characters = scanned.characters;
    look->shape = shape_of(text, &scanned);
    return DONE;
}

/* -- numbers -------------------------------------------------------------------------------------------------------------------------- */

#define MOST_PLAIN 18

/* By the digits before the point, how many of the unit a second has; 0: none. */
static int64_t unit_of(int before, int *unit) {
    static const int64_t FACTORS[] = {0, 1, 1000, 1000000};
    *unit = before == 9 || before == 10 ? 1 : before == 12 || before == 13 ? 2 : before == 15 || before == 16 ? 3 : 0;
    return FACTORS[*unit];
}

static void find_unit(Number *number, int64_t floor, bool has_fraction) {
    int unit;
    int64_t factor = unit_of(number->before, &unit);
    if (unit == 0 || floor < EARLIEST * factor || floor > LATEST * factor || (floor == LATEST * factor && has_fraction)) return;
    number->unit = unit;
}

static bool read_plain_number(Text text, Number *number) {
    if (text.size == 0 || text.size > MOST_PLAIN || text.bytes[0] == '0') return false;
    int64_t whole = 0;
    int zeros = 0;
    for (size_t at = 0; at < text.size; at++) {
        if (!is_digit(text.bytes[at])) return false;
        whole = whole * 10 + text.bytes[at] - '0';
        zeros = text.bytes[at] == '0' ? zeros + 1 : 0;
    }
    number->is_plain = number->is_whole = true;
    number->whole = whole;
    number->before = (int)text.size;
    number->significant = (int)text.size - zeros;
    number->unit = 0;
    find_unit(number, whole, false);
    return true;
}

/* As DynamoDB writes it: without an exponent, and without zeros at the end of a fraction. */
static bool is_canonical(Text text) {
    bool has_point = false;
    for (size_t at = 0; at < text.size; at++) {
        if ((text.bytes[at] | 0x20) == 'e') return false;
        has_point = has_point || text.bytes[at] == '.';
    }
    return has_point ? text.bytes[text.size - 1] != '0' : !is(text, "-0");
}

/* The digits of a number from the first on, as many as are before the point and at most 18. */
static int64_t floor_of(const Decimal *decimal) {
    int64_t floor = 0;
    for (int index = 0; index < decimal->count + decimal->exponent; index++) {
        floor = floor * 10 + (index < decimal->count ? decimal->digits[index] : 0);
    }
    return floor;
}

bool read_number(Text text, Number *number) {
    if (read_plain_number(text, number)) return true;
    Decimal *decimal = &number->decimal;
    if (!read_decimal(text, false, decimal)) return false;
    while (decimal->count > 0 && decimal->digits[decimal->count - 1] == 0) {
        decimal->count--;
        decimal->exponent++;
    }
    if (decimal->count == 0) decimal->exponent = 0;
    int before = decimal->count + decimal->exponent;
    number->is_plain = false;
    number->is_canonical = is_canonical(text);
    number->before = before > 0 ? before : 0;
    number->after = decimal->exponent < 0 ? -decimal->exponent : 0;
    number->significant = decimal->count;
    number->is_whole = number->after == 0 && before <= MOST_PLAIN;
    number->unit = 0;
    if (before <= MOST_PLAIN) {
        int64_t floor = floor_of(decimal);
        if (number->is_whole) number->whole = decimal->is_negative ? -floor : floor;
        if (!decimal->is_negative) find_unit(number, floor, number->after > 0);
    }
    return true;
}

/* Below 0, 0 or above, as with memcmp; neither has a zero at its end. */
static int compare_sizes(const Decimal *one, const Decimal *other) {
    int first = one->count + one->exponent, second = other->count + other->exponent;
    if (first != second) return first < second ? -1 : 1;
    int count = one->count < other->count ? one->count : other->count;
    int compared = memcmp(one->digits, other->digits, (size_t)count);
    return compared != 0 ? compared : one->count - other->count;
}

/* Of numbers that are not zero. */
static int compare(const Decimal *one, const Decimal *other) {
    if (one->is_negative != other->is_negative) return one->is_negative ? -1 : 1;
    int compared = compare_sizes(one, other);
    return one->is_negative ? -compared : compared;
}

void measure_number(Extremes *extremes, const Number *number) {
    if (number->is_whole) {
        if (!extremes->has_whole || number->whole < extremes->least) extremes->least = number->whole;
        if (!extremes->has_whole || number->whole > extremes->greatest) extremes->greatest = number->whole;
        extremes->has_whole = true;
        return;
    }
    if (!extremes->has_decimal || compare(&number->decimal, &extremes->least_decimal) < 0) extremes->least_decimal = number->decimal;
    if (!extremes->has_decimal || compare(&number->decimal, &extremes->greatest_decimal) > 0) extremes->greatest_decimal = number->decimal;
    extremes->has_decimal = true;
}
