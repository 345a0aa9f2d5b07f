#include "steps.h"

#define AS_NAME(kind) #kind,
const char *const KIND_NAMES[KINDS] = {EACH_KIND(AS_NAME)};

/* How many options a kind has, and which.
   JSONB, JSON: whether type tags are kept. LIMITED: characters at most. SPELLED: how many of the texts mean true; they come first. ARRAY: the oid of the elements.
   INTEGER: bytes, least, most, whether zeros may stand in front of those in strings. NUMERIC: precision (0: no limit), scale, whether there
   are bounds, least and most times a power of ten, zeros in front, that power. DOUBLE, REAL: zeros in front. EPOCH: power of ten (-1:
   whichever fits), earliest and latest in microseconds. ISO, LOCAL: earliest, latest. DAY, SPAN: power of ten. */
static const int OPTIONS[KINDS] = {[JSONB] = 1, [JSON] = 1, [LIMITED] = 1, [SPELLED] = 1, [ARRAY] = 1, [INTEGER] = 4, [NUMERIC] = 7, [DOUBLE] = 1, [REAL] = 1,
                                   [EPOCH] = 3,   [ISO] = 2,     [LOCAL] = 2, [DAY] = 1,     [SPAN] = 1};

/* -- what plan.py says ----------------------------------------------------------------------------------------------------------------- */

unsigned tag_bit(Text tag) {
    static const char LETTERS[] = "SNBLM";
    static const char *const LONGER[] = {"BOOL", "SS", "NS", "BS", "NULL"};
    if (tag.size == 1) {
        /* Nearly all tags are one letter, and each value's is looked up. */
        for (unsigned index = 0; index < sizeof LETTERS - 1; index++) {
            if ((char)tag.bytes[0] == LETTERS[index]) return 1u << index;
        }
        return 0;
    }
    for (unsigned index = 0; index < sizeof LONGER / sizeof *LONGER; index++) {
        if (is(tag, LONGER[index])) return 1u << (sizeof LETTERS - 1 + index);
    }
    return 0;
}

static int take_tags(Step *step, PyObject *tags) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(tags); index++) {
        Py_ssize_t size;
        const char *tag = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(tags, index), &size);
        if (tag == NULL) return -1;
        step->tags |= tag_bit((Text){(const unsigned char *)tag, (size_t)size});
    }
    return 0;
}

static bool are_bytes(PyObject *texts) {
    if (!PyTuple_CheckExact(texts)) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(texts); index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(texts, index))) return false;
    }
    return true;
}

static bool is_instant(const Step *step) { return step->kind == TIMESTAMP || step->kind == EPOCH || step->kind == ISO; }

/* Whether a step can be within another one. */
static bool is_rule(const Step *step) {
    return step->kind != CONSTANT && step->kind != CALL && step->kind != LATER_OF && step->kind != ARRAY;
}

static bool is_sound(const Step *step) {
    const long long *options = step->options;
    bool are_times_sound = step->earliest >= 0 && step->latest <= MOST_MILLISECONDS;
    if (!are_times_sound || !(step->if_missing == Py_None || PyBytes_CheckExact(step->if_missing))) return false;
    if ((step->kind == LATER_OF || step->kind == ARRAY) != (step->element != NULL)) return false;
    switch (step->kind) {
        case LATER_OF: return is_instant(step->element);
        case ARRAY: return is_rule(step->element);
        case ONE_OF:
        case UPPER_CASED: return are_bytes(step->texts);
        case UUID_V5:
            return are_bytes(step->texts) && PyTuple_GET_SIZE(step->texts) == 1 && PyBytes_GET_SIZE(PyTuple_GET_ITEM(step->texts, 0)) == 16;
        case SPELLED: return are_bytes(step->texts) && options[0] >= 0 && options[0] <= PyTuple_GET_SIZE(step->texts);
        case INTEGER: return options[0] == 2 || options[0] == 4 || options[0] == 8;
        case NUMERIC:
            return options[0] >= 0 && options[0] <= 1000 && options[1] >= 0 && options[1] <= options[0] && options[6] >= 0 && options[6] <= 17;
        case EPOCH: return options[0] >= -1 && options[0] <= 6;
        case DAY:
        case SPAN: return options[0] >= 0 && options[0] <= 6;
        default: return true;
    }
}

static int no_such_step(void) {
    PyErr_SetString(PyExc_ValueError, "no such step");
    return -1;
}

static int take_options(Step *step, PyObject *options) {
    if (PyTuple_GET_SIZE(options) != OPTIONS[step->kind] || OPTIONS[step->kind] > MOST_OPTIONS) return no_such_step();
    for (int index = 0; index < OPTIONS[step->kind]; index++) {
        step->options[index] = PyLong_AsLongLong(PyTuple_GET_ITEM(options, index));
        if (step->options[index] == -1 && PyErr_Occurred()) return -1;
    }
    return 0;
}

static int take_element(Step *step, PyObject *tuple) {
    if (tuple == Py_None) return 0;
    step->element = PyMem_Calloc(1, sizeof(Step));
    if (step->element == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return take_step_fields(tuple, step->element);
}

static int take_zone(Step *step) {
    if (step->kind != ISO || step->to_field == Py_None) return 0;
    step->quarters = PyMem_Calloc(QUARTERS, sizeof(Quarter));
    if (step->quarters == NULL) PyErr_NoMemory();
    return step->quarters == NULL ? -1 : 0;
}

int take_step_fields(PyObject *tuple, Step *step) {
    const char *kind;
    PyObject *tags, *options, *element;
    *step = (Step){0};
    if (!PyTuple_Check(tuple)) return no_such_step();
    if (!PyArg_ParseTuple(tuple, "snnOOOOOLLO!O!O:step", &kind, &step->attribute, &step->other, &step->if_missing, &step->missing_notice,
                          &step->notice, &step->texts, &step->to_field, &step->earliest, &step->latest, &PyTuple_Type, &tags,
                          &PyTuple_Type, &options, &element)) return -1;
    while (step->kind < KINDS && strcmp(KIND_NAMES[step->kind], kind) != 0) step->kind++;
    if (step->kind == KINDS) return no_such_step();
    bool is_taken = !take_tags(step, tags) && !take_options(step, options) && !take_element(step, element) && !take_zone(step);
    if (is_taken && is_sound(step)) return 0;
    free_step(step);
    return is_taken ? no_such_step() : -1;
}

void free_step(Step *step) {
    if (step->element != NULL) free_step(step->element);
    PyMem_Free(step->element);
    PyMem_Free(step->quarters);
    step->element = NULL;
    step->quarters = NULL;
}

/* -- text ------------------------------------------------------------------------------------------------------------------------------ */

static Outcome put_uuid(Row *row, const Step *step, Made *made, Text text) {
    unsigned char uuid[16];
    if (text.size == 0 && step->notice != Py_None) {
        made->notice = step->notice;
        return put(row, "\xff\xff\xff\xff", 4);
    }
    if (!read_uuid(text, uuid)) return NOT_SURE;
    TRY(put(row, "\0\0\0\x10", 4));
    return put(row, uuid, sizeof uuid);
}

/* Its number among the texts, or -1. */
static Py_ssize_t index_of(PyObject *texts, Text text) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(texts); index++) {
        PyObject *known = PyTuple_GET_ITEM(texts, index);
        if ((size_t)PyBytes_GET_SIZE(known) == text.size && memcmp(PyBytes_AS_STRING(known), text.bytes, text.size) == 0) return index;
    }
    return -1;
}

/* In sound UTF-8: every byte but those that continue a character. */
static size_t characters_of(Text text) {
    size_t characters = 0;
    for (size_t at = 0; at < text.size; at++) characters += (text.bytes[at] & 0xC0) != 0x80;
    return characters;
}

/* What is special in some kinds of text, once it stands in the row. */
static Outcome finish_text(Row *row, const Step *step, Made *made, size_t begin) {
    unsigned char uuid[16];
    TRY(set_length_since(row, begin));
    Text text = {row->bytes + begin + 4, row->size - begin - 4};
    switch (step->kind) {
        case ONE_OF: return index_of(step->texts, text) >= 0 ? DONE : NOT_SURE;
        case UUID_V5:
            hash_uuid((const unsigned char *)PyBytes_AS_STRING(PyTuple_GET_ITEM(step->texts, 0)), text, uuid);
            row->size = begin;
            TRY(put(row, "\0\0\0\x10", 4));
            return put(row, uuid, sizeof uuid);
        case LIMITED: return (long long)characters_of(text) <= step->options[0] ? DONE : NOT_SURE;
        case UUID_AS_TEXT:
            if (!read_uuid(text, uuid)) made->notice = step->notice;
            return DONE;
        case UPPER_CASED:
            if (text.size == 0) return NOT_SURE;
            for (unsigned char *at = row->bytes + begin + 4; at < row->bytes + row->size; at++) {
                if (*at >= 'a' && *at <= 'z') *at -= 0x20;
            }
            if (index_of(step->texts, text) < 0) made->notice = step->notice;
            return DONE;
        default: return DONE;
    }
}

static bool is_text(Kind kind) {
    return kind == TEXT || kind == UUID_AS_TEXT || kind == ONE_OF || kind == UPPER_CASED || kind == LIMITED || kind == UUID_V5;
}

/* -- other scalars --------------------------------------------------------------------------------------------------------------------- */

static Outcome put_boolean_field(Row *row, Reader *reader) {
    if (expect_word(reader, "true") == DONE) return put(row, "\0\0\0\1\1", 5);
    TRY(expect_word(reader, "false"));
    return put(row, "\0\0\0\1\0", 5);
}

static Outcome put_spelled(Row *row, const Step *step, Text text) {
    Py_ssize_t index = index_of(step->texts, text);
    return index < 0 ? NOT_SURE : put(row, index < step->options[0] ? "\0\0\0\1\1" : "\0\0\0\1\0", 5);
}

/* Of a zone. No quarter of an hour sees two changes of its clocks, and Python is not sure of one that sees one. */
static Outcome find_offset(const Step *step, int64_t clock, int64_t *offset) {
    int64_t number = clock / MICROSECONDS_OF_QUARTER - (clock % MICROSECONDS_OF_QUARTER < 0);
    Quarter *quarter = &step->quarters[(uint64_t)number % QUARTERS];
    if (!quarter->is_known || quarter->quarter != number) {
        PyObject *found = PyObject_CallFunction(step->to_field, "L", (long long)number);
        if (found == NULL) return FAILED;
        bool is_sure = found != Py_None;
        long long microseconds = is_sure ? PyLong_AsLongLong(found) : 0;
        Py_DECREF(found);
        if (microseconds == -1 && PyErr_Occurred()) return FAILED;
        *quarter = (Quarter){number, microseconds, true, is_sure};
    }
    *offset = quarter->offset;
    return quarter->is_sure ? DONE : NOT_SURE;
}

static Outcome read_iso_instant(const Step *step, Text text, int64_t *microseconds) {
    int64_t clock, offset;
    bool has_offset;
    if (!read_iso(text, &clock, &offset, &has_offset) || (step->kind == LOCAL && has_offset)) return NOT_SURE;
    if (step->kind == ISO && !has_offset) {
        if (step->quarters == NULL) return NOT_SURE;
        TRY(find_offset(step, clock, &offset));
    }
    *microseconds = clock - offset;
    return *microseconds >= step->options[0] && *microseconds <= step->options[1] ? DONE : NOT_SURE;
}

static Outcome read_instant(const Step *step, Text text, int64_t *microseconds) {
    const long long *options = step->options;
    switch (step->kind) {
        case EPOCH: return read_epoch(text, (int)options[0], options[1], options[2], microseconds) ? DONE : NOT_SURE;
        case ISO:
        case LOCAL: return read_iso_instant(step, text, microseconds);
        default: return read_milliseconds(text, step->earliest, step->latest, microseconds) ? DONE : NOT_SURE;
    }
}

static Outcome put_day(Row *row, int64_t days) { return put_whole(row, days - DAYS_TO_2000, 4); }

/* A number of microseconds that are a whole number of days, in the years that have four digits. */
static Outcome put_day_of(Row *row, Text text, int power) {
    int64_t microseconds;
    Decimal number;
    if (!read_decimal(text, false, &number) || !to_whole(number, power, &microseconds)) return NOT_SURE;
    int64_t days = microseconds / MICROSECONDS_OF_DAY;
    bool is_day = microseconds % MICROSECONDS_OF_DAY == 0 && days >= -719162 && days <= 2932896;
    return is_day ? put_day(row, days) : NOT_SURE;
}

/* An interval of microseconds alone; its other two parts are days and months. */
static Outcome put_span(Row *row, Text text, int power) {
    int64_t microseconds;
    Decimal number;
    if (!read_decimal(text, false, &number) || number.count + number.exponent + power > 18) return NOT_SURE;
    if (!to_whole(number, power, &microseconds)) return NOT_SURE;
    TRY(put_whole(row, microseconds, 8));
    set_length(row->bytes + row->size - 12, 16);
    return put(row, "\0\0\0\0\0\0\0\0", 8);
}

static Outcome put_of_number(Row *row, const Step *step, Text text, bool is_string) {
    const long long *options = step->options;
    Decimal number, scaled;
    int padded = step->kind == INTEGER ? 3 : step->kind == NUMERIC ? 5 : 0;
    if (!read_decimal(text, is_string && options[padded], &number)) return NOT_SURE;
    switch (step->kind) {
        case INTEGER: return put_integer(row, &number, options[0], options[1], options[2]);
        case NUMERIC:
            scaled = number;
            scaled.exponent += (int)options[6];
            if (options[2] && !is_within(&scaled, options[3], options[4])) return NOT_SURE;
            return put_numeric(row, number, options[0], options[1]);
        case DOUBLE: return put_double(row, number);
        default: return put_real(row, number);
    }
}

#define MOST_MONTHS_OR_DAYS 2147483646LL

static Outcome put_iso_span(Row *row, Text text) {
    Span span;
    if (!read_iso_span(text, &span)) return NOT_SURE;
    if (span.months < -MOST_MONTHS_OR_DAYS || span.months > MOST_MONTHS_OR_DAYS) return NOT_SURE;
    if (span.days < -MOST_MONTHS_OR_DAYS || span.days > MOST_MONTHS_OR_DAYS) return NOT_SURE;
    TRY(put_whole(row, span.microseconds, 8));
    set_length(row->bytes + row->size - 12, 16);
    unsigned char parts[8];
    set_length(parts, (uint32_t)span.days);
    set_length(parts + 4, (uint32_t)span.months);
    return put(row, parts, sizeof parts);
}

/* -- steps ----------------------------------------------------------------------------------------------------------------------------- */

static Outcome put_instant(Row *row, const Step *step, Text text) {
    int64_t microseconds;
    TRY(read_instant(step, text, &microseconds));
    return put_timestamptz(row, microseconds);
}

static Outcome keep_later(const Step *step, Made *made, Text text) {
    int64_t microseconds;
    TRY(read_instant(step->element, text, &microseconds));
    if (!made->is_made || microseconds > made->microseconds) made->microseconds = microseconds;
    return DONE;
}

static Outcome put_of_text(Row *row, const Step *step, Made *made, Text text, bool is_string) {
    int64_t number;
    switch (step->kind) {
        case UUID: return put_uuid(row, step, made, text);
        case SPELLED: return put_spelled(row, step, text);
        case BYTES: return put_base64(row, text);
        case INET: return put_inet(row, text);
        case TIMESTAMP:
        case EPOCH:
        case ISO:
        case LOCAL: return put_instant(row, step, text);
        case LATER_OF: return keep_later(step, made, text);
        case DATE: return read_iso_date(text, &number) ? put_day(row, number) : NOT_SURE;
        case DAY: return put_day_of(row, text, (int)step->options[0]);
        case TIME: return read_iso_time(text, &number) ? put_whole(row, number, 8) : NOT_SURE;
        case SPAN: return put_span(row, text, (int)step->options[0]);
        case ISO_SPAN: return put_iso_span(row, text);
        case INTEGER:
        case NUMERIC:
        case DOUBLE:
        case REAL: return put_of_number(row, step, text, is_string);
        default: return NOT_SURE;
    }
}

/* The field of a content that is plain text, with a tag that has this bit. */
static Outcome put_plain(Row *row, const Step *step, Made *made, Text text, bool is_string, unsigned bit) {
    unsigned tags = step->kind == LATER_OF ? step->element->tags : step->tags;
    if (step->kind == CALL || !(tags & bit)) return NOT_SURE;
    if (!is_text(step->kind)) return put_of_text(row, step, made, text, is_string);
    Decimal number;
    if (!is_string && !read_decimal(text, false, &number)) return NOT_SURE;
    size_t begin = row->size;
    TRY(put(row, "\0\0\0\0", 4));
    TRY(put(row, text.bytes, text.size));
    return finish_text(row, step, made, begin);
}

static Outcome put_array(Row *row, const Step *step, Reader *reader, Text tag);

Outcome do_step(Row *row, const Step *step, Made *made, Reader *reader, Text tag) {
    size_t begin = row->size;
    const unsigned bit = tag_bit(tag);
    if (step->tags && !(step->tags & bit)) return NOT_SURE;
    switch (step->kind) {
        case CALL: return skip_value(reader);
        case JSONB:
        case JSON:
            TRY(put(row, "\0\0\0\0\1", step->kind == JSONB ? 5 : 4)); /* the length, when it is known, and the version */
            TRY(step->options[0] ? put_typed(row, reader, tag, 0) : put_content(row, reader, tag, 0));
            return set_length_since(row, begin);
        case ARRAY: return put_array(row, step, reader, tag);
        case BOOLEAN: return put_boolean_field(row, reader);
        case SPELLED:
            if (is(tag, "BOOL")) return put_boolean_field(row, reader);
            break;
        default:
            if (is_text(step->kind) && is(tag, "S")) {
                TRY(put(row, "\0\0\0\0", 4));
                TRY(put_string(row, reader, false));
                return finish_text(row, step, made, begin);
            }
    }
    Text text;
    TRY(read_plain(reader, &text));
    Decimal number;
    if (is(tag, "N") && step->kind == SPELLED && !read_decimal(text, false, &number)) return NOT_SURE;
    return put_plain(row, step, made, text, is(tag, "S"), bit);
}

/* An element of a list is an attribute value; one that is NULL is NULL. */
static Outcome put_value(Row *row, const Step *element, Made *made, Reader *reader, bool *has_null) {
    Text tag;
    TRY(open_value(reader, &tag));
    if (is(tag, "NULL")) {
        TRY(expect_word(reader, "true"));
        TRY(put(row, "\xff\xff\xff\xff", 4));
        *has_null = true;
    } else {
        TRY(do_step(row, element, made, reader, tag));
    }
    return close_value(reader);
}

/* One dimension: its count, whether an element is NULL, the type of the elements; how many, from which number on; and their fields. */
static Outcome put_array(Row *row, const Step *step, Reader *reader, Text tag) {
    static const unsigned char HEAD[24] = {[7] = 1, [23] = 1};
    const Text of_set = {tag.bytes, 1}; /* the S of SS: the tag of its members */
    size_t begin = row->size;
    uint32_t count = 0;
    bool has_null = false, is_list = is(tag, "L");
    TRY(put(row, HEAD, sizeof HEAD));
    TRY(expect(reader, '['));
    if (!take(reader, ']')) {
        do {
            Made made = {0};
            if (is_list) TRY(put_value(row, step->element, &made, reader, &has_null));
            else TRY(do_step(row, step->element, &made, reader, of_set));
            if (made.notice != NULL && made.notice != Py_None) return NOT_SURE;
            count++;
        } while (take(reader, ','));
        TRY(expect(reader, ']'));
    }
    if (count == 0) {
        row->size -= 8;
        set_length(row->bytes + begin + 4, 0);
    } else {
        set_length(row->bytes + begin + 16, count);
    }
    set_length(row->bytes + begin + 8, has_null);
    set_length(row->bytes + begin + 12, (uint32_t)step->options[0]);
    return set_length_since(row, begin);
}
