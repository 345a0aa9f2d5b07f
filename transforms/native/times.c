#include "times.h"

/* PostgreSQL's own limit of an offset. */
#define MOST_OFFSET_HOURS 15

/* So many digits, as a number; -1 where one is none. */
static bool is_digit_byte(unsigned char byte) { return byte >= '0' && byte <= '9'; }

static int number_at(const unsigned char *at, int digits) {
    int number = 0;
    for (int index = 0; index < digits; index++) {
        if (at[index] < '0' || at[index] > '9') return -1;
        number = number * 10 + at[index] - '0';
    }
    return number;
}

/* Days since 1970 in the Gregorian calendar, counted in years that begin in March (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from(int year, int month, int day) {
    year -= month <= 2;
    int era = year / 400, of_era = year - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097LL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool read_day_at(const unsigned char *at, int64_t *days) {
    static const unsigned char LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = number_at(at, 4), month = number_at(at + 5, 2), day = number_at(at + 8, 2);
    if (at[4] != '-' || at[7] != '-' || year < 1 || month < 1 || month > 12 || day < 1) return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > LENGTHS[month - 1] + (month == 2 && is_leap)) return false;
    *days = days_from(year, month, day);
    return true;
}

/* 09:30, 09:30:15 or 09:30:15.25; `at` is behind it then. */
static bool read_clock(const unsigned char **at, const unsigned char *end, int64_t *microseconds) {
    const unsigned char *clock = *at;
    if (end - clock < 5 || clock[2] != ':') return false;
    int hour = number_at(clock, 2), minute = number_at(clock + 3, 2), second = 0, fraction = 0;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
    clock += 5;
    if (clock < end && *clock == ':') {
        if (end - clock < 3) return false;
        second = number_at(clock + 1, 2);
        if (second < 0 || second > 59) return false;
        clock += 3;
        if (clock < end && *clock == '.') {
            int digits = 0;
            for (clock++; clock < end && *clock >= '0' && *clock <= '9'; clock++) {
                if (++digits > 6 && *clock != '0') return false;
                if (digits <= 6) fraction = fraction * 10 + *clock - '0';
            }
            if (digits == 0) return false;
            for (; digits < 6; digits++) fraction *= 10;
        }
    }
    *microseconds = ((hour * 60LL + minute) * 60 + second) * 1000000 + fraction;
    *at = clock;
    return true;
}

/* Z, +02, +0230 or +02:30, and nothing behind it: how far ahead of UTC. */
static bool read_offset(const unsigned char *at, const unsigned char *end, int64_t *microseconds) {
    *microseconds = 0;
    if (end - at == 1 && *at == 'Z') return true;
    if (end - at < 3 || (*at != '+' && *at != '-')) return false;
    int hours = number_at(at + 1, 2), minutes = 0;
    const unsigned char *behind = at + 3;
    if (behind < end) {
        behind += *behind == ':';
        if (end - behind != 2) return false;
        minutes = number_at(behind, 2);
    }
    if (hours < 0 || hours > MOST_OFFSET_HOURS || minutes < 0 || minutes > 59) return false;
    *microseconds = (hours * 60LL + minutes) * (*at == '-' ? -60000000 : 60000000);
    return true;
}

bool read_iso(Text text, int64_t *clock, int64_t *offset, bool *has_offset) {
    const unsigned char *at = text.bytes, *end = at + text.size;
    int64_t days, of_day;
    *offset = 0;
    if (text.size < 16 || !read_day_at(at, &days) || (at[10] != 'T' && at[10] != ' ')) return false;
    at += 11;
    if (!read_clock(&at, end, &of_day)) return false;
    *clock = days * MICROSECONDS_OF_DAY + of_day;
    *has_offset = at != end;
    return !*has_offset || read_offset(at, end, offset);
}

bool read_iso_date(Text text, int64_t *days) { return text.size == 10 && read_day_at(text.bytes, days); }

bool read_iso_time(Text text, int64_t *microseconds) {
    const unsigned char *at = text.bytes, *end = at + text.size;
    return read_clock(&at, end, microseconds) && at == end;
}

/* -- numbers since 1970 ---------------------------------------------------------------------------------------------------------------- */

/* One number of a span and its letter, of `letters` from `*next` on; of the number of seconds alone the microseconds behind the point. */
static bool read_part(const unsigned char **at, const unsigned char *end, const char *letters, size_t *next, int64_t *number, int64_t *behind) {
    bool is_negative = *at < end && **at == '-', is_fraction = false;
    const unsigned char *begin = *at += is_negative;
    *number = *behind = 0;
    while (*at < end && is_digit_byte(**at)) *number = *number * 10 + *(*at)++ - '0';
    if (*at == begin || *at - begin > 9) return false;
    if (*at < end && **at == '.') {
        is_fraction = true;
        begin = ++*at;
        while (*at < end && is_digit_byte(**at)) *behind = *behind * 10 + *(*at)++ - '0';
        if (*at == begin || *at - begin > 6) return false;
        for (const unsigned char *digit = *at; digit < begin + 6; digit++) *behind *= 10;
    }
    if (*at == end) return false;
    while (letters[*next] != '\0' && letters[*next] != (char)**at) ++*next;
    if (letters[*next] == '\0' || (is_fraction && letters[*next] != 'S')) return false;
    ++*at;
    ++*next;
    if (is_negative) {
        *number = -*number;
        *behind = -*behind;
    }
    return true;
}

bool read_iso_span(Text text, Span *span) {
    const unsigned char *at = text.bytes, *end = text.bytes + text.size;
    int64_t number, behind;
    size_t next = 0;
    *span = (Span){0};
    if (at == end || *at++ != 'P' || at == end) return false;
    while (at < end && *at != 'T') {
        if (!read_part(&at, end, "YMWD", &next, &number, &behind)) return false;
        switch (at[-1]) {
            case 'Y': span->months = number * 12; break;
            case 'M': span->months += number; break;
            case 'W': span->days = number * 7; break;
            default: span->days += number;
        }
    }
    if (at == end) return true;
    if (++at == end) return false;
    for (next = 0; at < end;) {
        if (!read_part(&at, end, "HMS", &next, &number, &behind)) return false;
        int64_t seconds = at[-1] == 'H' ? 3600 : at[-1] == 'M' ? 60 : 1;
        span->microseconds += number * seconds * 1000000 + behind;
    }
    return true;
}

bool read_milliseconds(Text text, int64_t earliest, int64_t latest, int64_t *microseconds) {
    size_t size = text.size, fraction = size > 14 && text.bytes[13] == '.' ? size - 14 : 0;
    if (size != (fraction ? 14 + fraction : 13) || fraction > 3 || text.bytes[0] == '0') return false;
    int64_t number = 0;
    for (size_t at = 0; at < 17; at++) {
        if (at == 13) continue;
        unsigned char sign = at < size ? text.bytes[at] : '0';
        if (sign < '0' || sign > '9') return false;
        number = number * 10 + sign - '0';
    }
    *microseconds = number;
    return number >= earliest * 1000 && number <= latest * 1000;
}

bool read_epoch(Text text, int power, int64_t earliest, int64_t latest, int64_t *microseconds) {
    static const int POWERS[] = {6, 3, 0}; /* in the order in which Python looks */
    Decimal number;
    if (!read_decimal(text, false, &number)) return false;
    if (power >= 0) return to_whole(number, power, microseconds) && *microseconds >= earliest && *microseconds <= latest;
    /* Of those with a fraction Python has to see which unit it is that they are too fine for. */
    for (size_t index = 0; index < 3; index++) {
        bool is_beyond = number.count + number.exponent + POWERS[index] > 19;
        if (is_beyond) continue;
        if (!to_whole(number, POWERS[index], microseconds)) return false;
        if (*microseconds >= earliest && *microseconds <= latest) return true;
    }
    return false;
}

Outcome put_timestamptz(Row *row, int64_t microseconds) {
    uint64_t since = (uint64_t)(microseconds - POSTGRES_EPOCH);
    unsigned char field[12];
    set_length(field, 8);
    set_length(field + 4, (uint32_t)(since >> 32));
    set_length(field + 8, (uint32_t)since);
    return put(row, field, sizeof field);
}
