#include "steps.h"

#define AS_NAME(kind) #kind,
const char *const KIND_NAMES[KINDS] = {EACH_KIND(AS_NAME)};

static Outcome put_uuid(Row *row, const Step *step, Made *made, Reader *reader) {
    Text text;
    unsigned char uuid[16];
    TRY(read_plain(reader, &text));
    if (text.size == 0 && step->notice != Py_None) {
        made->notice = step->notice;
        return put(row, "\xff\xff\xff\xff", 4);
    }
    if (!read_uuid(text, uuid)) return NOT_SURE;
    TRY(put(row, "\0\0\0\x10", 4));
    return put(row, uuid, sizeof uuid);
}

static bool is_one_of(PyObject *texts, Text text) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(texts); index++) {
        PyObject *known = PyTuple_GET_ITEM(texts, index);
        if ((size_t)PyBytes_GET_SIZE(known) == text.size && memcmp(PyBytes_AS_STRING(known), text.bytes, text.size) == 0) return true;
    }
    return false;
}

/* A text, with what is special in some kinds of it. */
static Outcome put_text(Row *row, const Step *step, Made *made, Reader *reader) {
    unsigned char uuid[16];
    size_t begin = row->size;
    TRY(put(row, "\0\0\0\0", 4));
    TRY(put_string(row, reader, false));
    TRY(set_length_since(row, begin));
    Text text = {row->bytes + begin + 4, row->size - begin - 4};
    switch (step->kind) {
        case ONE_OF: return is_one_of(step->texts, text) ? DONE : NOT_SURE;
        case UUID_AS_TEXT:
            if (!read_uuid(text, uuid)) made->notice = step->notice;
            return DONE;
        case UPPER_CASED:
            if (text.size == 0) return NOT_SURE;
            for (unsigned char *at = row->bytes + begin + 4; at < row->bytes + row->size; at++) {
                if (*at >= 'a' && *at <= 'z') *at -= 0x20;
            }
            if (!is_one_of(step->texts, text)) made->notice = step->notice;
            return DONE;
        default: return DONE;
    }
}

static Outcome put_boolean_field(Row *row, Reader *reader) {
    if (expect_word(reader, "true") == DONE) return put(row, "\0\0\0\1\1", 5);
    TRY(expect_word(reader, "false"));
    return put(row, "\0\0\0\1\0", 5);
}

Outcome do_step(Row *row, const Step *step, Made *made, Reader *reader, Text tag) {
    int64_t microseconds;
    switch (step->kind) {
        case CALL: return skip_value(reader);
        case JSONB: {
            size_t begin = row->size;
            TRY(put(row, "\0\0\0\0\1", 5)); /* the length, when it is known, and the version */
            TRY(put_content(row, reader, tag, 0));
            return set_length_since(row, begin);
        }
        case TIMESTAMP:
        case LATER_OF:
            if (!is(tag, "N")) return NOT_SURE;
            TRY(read_microseconds(reader, step->earliest, step->latest, &microseconds));
            if (step->kind == TIMESTAMP) return put_timestamptz(row, microseconds);
            if (!made->is_made || microseconds > made->microseconds) made->microseconds = microseconds;
            return DONE;
        case BOOLEAN: return is(tag, "BOOL") ? put_boolean_field(row, reader) : NOT_SURE;
        case UUID: return is(tag, "S") ? put_uuid(row, step, made, reader) : NOT_SURE;
        default: return is(tag, "S") ? put_text(row, step, made, reader) : NOT_SURE;
    }
}
