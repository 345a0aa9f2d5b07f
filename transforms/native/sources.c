/* Texts that are made of others before their rule, and texts that need no cleaning. */

#include "sources.h"

#define AS_NAME(kind) #kind,
const char *const SOURCE_NAMES[SOURCES_KNOWN] = {EACH_SOURCE(AS_NAME)};

/* -- cleaning ------------------------------------------------------------------------------------------------------------------------- */

/* What Python's str.strip takes away, of one character of UTF-8. */
static bool is_white(const unsigned char *at, size_t size) {
    unsigned char byte = at[0];
    if (size == 1) return (byte >= 0x09 && byte <= 0x0D) || (byte >= 0x1C && byte <= 0x20);
    if (size == 2) return byte == 0xC2 && (at[1] == 0x85 || at[1] == 0xA0);
    if (size != 3) return false;
    if (byte == 0xE1) return at[1] == 0x9A && at[2] == 0x80;
    if (byte == 0xE2 && at[1] == 0x80) return at[2] <= 0x8A || at[2] == 0xA8 || at[2] == 0xA9 || at[2] == 0xAF;
    if (byte == 0xE2) return at[1] == 0x81 && at[2] == 0x9F;
    return byte == 0xE3 && at[1] == 0x80 && at[2] == 0x80;
}

static size_t first_size(unsigned char lead) { return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4; }

/* Whether white space stands at an end; the string has no escapes, and is sound UTF-8. */
static bool has_white_end(Text text) {
    size_t first = first_size(text.bytes[0]), last = 1;
    while (last < text.size && (text.bytes[text.size - last] & 0xC0) == 0x80) last++;
    return is_white(text.bytes, first) || is_white(text.bytes + text.size - last, last);
}

bool is_clean(Reader reader, int clean) {
    Text text;
    if (clean == 0) return true;
    if (read_name(&reader, &text) != DONE) return false;
    if (text.size == 0) return !(clean & CLEAN_EMPTY);
    if ((clean & CLEAN_TRIM) && has_white_end(text)) return false;
    if (clean & (CLEAN_LOWER | CLEAN_UPPER)) {
        unsigned char first = clean & CLEAN_LOWER ? 'A' : 'a';
        for (size_t at = 0; at < text.size; at++) {
            if (text.bytes[at] >= 0x80 || (text.bytes[at] >= first && text.bytes[at] <= first + 25)) return false;
        }
    }
    return true;
}

/* -- parts of a composite string ------------------------------------------------------------------------------------------------------ */

static Text literal_at(const Source *source, Py_ssize_t index) {
    PyObject *literal = PyTuple_GET_ITEM(source->texts, index);
    return (Text){(const unsigned char *)PyBytes_AS_STRING(literal), (size_t)PyBytes_GET_SIZE(literal)};
}

static bool is_at(Text text, size_t at, Text literal) {
    return text.size - at >= literal.size && memcmp(text.bytes + at, literal.bytes, literal.size) == 0;
}

/* The begin and end of one placeholder of a text that matches the whole pattern, as `compile_part` finds them. */
static bool find_part(Text text, const Source *source, size_t *begin, size_t *end) {
    Py_ssize_t last = PyTuple_GET_SIZE(source->texts) - 1;
    Text literal = literal_at(source, 0);
    if (!is_at(text, 0, literal)) return false;
    size_t at = literal.size;
    for (Py_ssize_t part = 0; part < last; part++) {
        if (at == text.size) return false;
        /* At least one character, which may have several bytes; a literal is sound UTF-8 and begins at none of the others. */
        size_t until = at + first_size(text.bytes[at]);
        literal = literal_at(source, part + 1);
        if (part == last - 1 && literal.size == 0) until = text.size;
        while (until <= text.size && !is_at(text, until, literal)) until++;
        if (until > text.size) return false;
        if (part == source->part) {
            *begin = at;
            *end = until;
        }
        at = until + literal.size;
    }
    return at == text.size;
}

Outcome put_part(Row *text, Reader *reader, const Source *source) {
    size_t begin = 0, end = 0;
    TRY(put_byte(text, '"'));
    TRY(put_string(text, reader, false));
    if (!find_part((Text){text->bytes + 1, text->size - 1}, source, &begin, &end)) return NOT_SURE;
    memmove(text->bytes + 1, text->bytes + 1 + begin, end - begin);
    text->size = 1 + end - begin;
    /* What would be an escape in JSON. */
    for (size_t at = 1; at < text->size; at++) {
        if (text->bytes[at] < 0x20 || text->bytes[at] == '"' || text->bytes[at] == '\\') return NOT_SURE;
    }
    return put_byte(text, '"');
}

/* -- several attributes as one text --------------------------------------------------------------------------------------------------- */

Outcome put_joined(Row *text, const Text *values, const Source *source) {
    TRY(put_byte(text, '"'));
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(source->attributes); index++) {
        Reader reader = {values[index].bytes, values[index].bytes + values[index].size};
        Text tag;
        if (index > 0) TRY(put_field(text, PyTuple_GET_ITEM(source->texts, 0)));
        TRY(open_value(&reader, &tag));
        if (is(tag, "S")) TRY(put_string(text, &reader, true));
        else if (is(tag, "N")) TRY(put_content(text, &reader, tag, 0));
        else return NOT_SURE;
    }
    return put_byte(text, '"');
}
