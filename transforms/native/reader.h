/* A line of a data file, read strictly and once: whatever is not the usual JSON of typed attributes is "not sure", so what is taken here is
   a subset of what orjson takes, with the same meaning. */

#pragma once
#include "row.h"

typedef struct {
    const unsigned char *at, *end;
} Reader;

typedef struct {
    const unsigned char *bytes;
    size_t size;
} Text;

static inline bool is(Text text, const char *word) { return text.size == strlen(word) && memcmp(text.bytes, word, text.size) == 0; }

static inline void skip_space(Reader *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r')) reader->at++;
}

/* Whether this character comes next, after any space; if so it is behind us. */
static inline bool take(Reader *reader, unsigned char character) {
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != character) return false;
    reader->at++;
    return true;
}

static inline Outcome expect(Reader *reader, unsigned char character) { return take(reader, character) ? DONE : NOT_SURE; }

static inline Outcome expect_word(Reader *reader, const char *word) {
    size_t size = strlen(word);
    skip_space(reader);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) return NOT_SURE;
    reader->at += size;
    return DONE;
}

/* -- strings --------------------------------------------------------------------------------------------------------------------------- */

/* ASCII that stands for itself in a JSON string, and ends none. */
static inline bool is_plain(unsigned char byte) { return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\'; }

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define EACH(byte) (0x0101010101010101u * (byte))

/* The highest bit of each byte of eight that is not plain, and perhaps of some behind the first such: subtracting borrows upwards only. */
static inline uint64_t not_plain(uint64_t eight) {
    uint64_t quote = eight ^ EACH('"'), backslash = eight ^ EACH('\\');
    uint64_t found = ((eight - EACH(0x20)) & ~eight) | ((quote - EACH(1)) & ~quote) | ((backslash - EACH(1)) & ~backslash) | eight;
    return found & EACH(0x80);
}
#endif

static inline size_t plain_run(const unsigned char *at, size_t left) {
    size_t run = 0;
#ifdef EACH
    for (; left - run >= 8; run += 8) {
        uint64_t eight;
        memcpy(&eight, at + run, sizeof eight);
        uint64_t found = not_plain(eight);
        if (found) return run + (size_t)__builtin_ctzll(found) / 8;
    }
#endif
    while (run < left && is_plain(at[run])) run++;
    return run;
}

/* A string of plain ASCII, as it stands: tags, names of attributes, UUIDs, numbers. */
static inline Outcome read_plain(Reader *reader, Text *text) {
    TRY(expect(reader, '"'));
    text->bytes = reader->at;
    text->size = plain_run(reader->at, (size_t)(reader->end - reader->at));
    reader->at += text->size;
    if (reader->at == reader->end || *reader->at != '"') return NOT_SURE;
    reader->at++;
    return DONE;
}

/* As `read_name`, from where a string is no longer plain ASCII. */
Outcome read_rest_of_name(Reader *reader, Text *text);

/* A string without escapes, as it stands: names of attributes in any script. */
static inline Outcome read_name(Reader *reader, Text *text) {
    TRY(expect(reader, '"'));
    text->bytes = reader->at;
    reader->at += plain_run(reader->at, (size_t)(reader->end - reader->at));
    if (reader->at == reader->end || *reader->at != '"') return read_rest_of_name(reader, text);
    text->size = (size_t)(reader->at++ - text->bytes);
    return DONE;
}

/* By character: the value of a hexadecimal ASCII digit and one more, else 0. */
extern const unsigned char DIGITS[256];

/* A string to the row: the text that it means, or JSON again, without the quotes. */
Outcome put_string(Row *row, Reader *reader, bool as_json);

/* Past a string that `put_string` would take. */
Outcome skip_string(Reader *reader);

/* -- attribute values ------------------------------------------------------------------------------------------------------------------ */

/* An attribute value up to its content; `close_value` is what comes behind it. */
static inline Outcome open_value(Reader *reader, Text *tag) {
    TRY(expect(reader, '{'));
    TRY(read_plain(reader, tag));
    return expect(reader, ':');
}

static inline Outcome close_value(Reader *reader) { return expect(reader, '}'); }

/* Past any value. Its brackets and strings only: whoever takes what is in it looks into it. */
Outcome skip_value(Reader *reader);
