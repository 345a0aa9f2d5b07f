/* A line of an incremental export, taken apart: when its key was written, the key, and the images as lines of a full export.

   As everywhere here, what is not written the way DynamoDB writes it is "not sure", and `read_change_line` decides. Images are passed over
   by their brackets and strings; whoever makes rows of them finds whether they are sound. */

#include "changes.h"

#define MOST_KEYS 2
#define MOST_DIGITS 18

typedef struct {
    long long micros;
    bool has_micros;
    Text keys, old, new;                      /* from bracket to bracket; without bytes where there is none */
    Text names[MOST_KEYS], values[MOST_KEYS]; /* of the key, as it is written */
    Py_ssize_t key_count;
} Change;

static bool is_same(Text one, Text other) { return one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0; }

/* Whether another member follows, or the object ends. */
static Outcome read_separator(Reader *reader, bool *is_end) {
    *is_end = take(reader, '}');
    return *is_end || take(reader, ',') ? DONE : NOT_SURE;
}

static Outcome read_object(Reader *reader, Text *object) {
    if (object->bytes != NULL) return NOT_SURE;
    skip_space(reader);
    object->bytes = reader->at;
    if (reader->at == reader->end || *reader->at != '{') return NOT_SURE;
    TRY(skip_value(reader));
    object->size = (size_t)(reader->at - object->bytes);
    return DONE;
}

/* {"WriteTimestampMicros":{"N":"1768386096366933"}} */
static Outcome read_metadata(Reader *reader, Change *change) {
    Text name, tag, digits;
    if (change->has_micros) return NOT_SURE;
    TRY(expect(reader, '{'));
    TRY(read_plain(reader, &name));
    if (!is(name, "WriteTimestampMicros")) return NOT_SURE;
    TRY(expect(reader, ':'));
    TRY(open_value(reader, &tag));
    TRY(read_plain(reader, &digits));
    TRY(close_value(reader));
    TRY(expect(reader, '}'));
    if (!is(tag, "N") || digits.size == 0 || digits.size > MOST_DIGITS) return NOT_SURE;
    for (size_t digit = 0; digit < digits.size; digit++) {
        unsigned char byte = digits.bytes[digit];
        if (byte < '0' || byte > '9') return NOT_SURE;
        change->micros = change->micros * 10 + (byte - '0');
    }
    change->has_micros = true;
    return DONE;
}

/* The attributes of the key, which must be those that the definition has. */
static Outcome read_keys(Reader *reader, Change *change) {
    bool is_end = false;
    Py_ssize_t count = 0;
    const Reader begin = *reader;
    TRY(read_object(reader, &change->keys));
    Reader inside = begin;
    TRY(expect(&inside, '{'));
    for (; !is_end; count++) {
        Text name, tag, content;
        Py_ssize_t number = 0;
        TRY(read_name(&inside, &name));
        while (number < change->key_count && !is_same(name, change->names[number])) number++;
        if (number == change->key_count || change->values[number].bytes != NULL) return NOT_SURE;
        TRY(expect(&inside, ':'));
        skip_space(&inside);
        change->values[number].bytes = inside.at;
        TRY(open_value(&inside, &tag));
        TRY(read_name(&inside, &content));
        TRY(close_value(&inside));
        if (!is(tag, "S") && !is(tag, "N") && !is(tag, "B")) return NOT_SURE;
        change->values[number].size = (size_t)(inside.at - change->values[number].bytes);
        TRY(read_separator(&inside, &is_end));
    }
    return count == change->key_count && inside.at == reader->at ? DONE : NOT_SURE;
}

/* That an image has the attributes of the key, spelled as they are in Keys. */
static Outcome check_key_of(Text image, const Change *change) {
    Reader reader = {image.bytes, image.bytes + image.size};
    bool is_end = false;
    bool is_found[MOST_KEYS] = {false};
    TRY(expect(&reader, '{'));
    while (!is_end) {
        Text name, value;
        TRY(read_name(&reader, &name));
        TRY(expect(&reader, ':'));
        skip_space(&reader);
        value.bytes = reader.at;
        TRY(skip_value(&reader));
        value.size = (size_t)(reader.at - value.bytes);
        for (Py_ssize_t number = 0; number < change->key_count; number++) {
            if (!is_same(name, change->names[number])) continue;
            if (is_found[number] || !is_same(value, change->values[number])) return NOT_SURE;
            is_found[number] = true;
        }
        TRY(read_separator(&reader, &is_end));
    }
    for (Py_ssize_t number = 0; number < change->key_count; number++) {
        if (!is_found[number]) return NOT_SURE;
    }
    return DONE;
}

static Outcome read_line(Reader reader, Change *change) {
    bool is_end = false;
    TRY(expect(&reader, '{'));
    while (!is_end) {
        Text name;
        TRY(read_plain(&reader, &name));
        TRY(expect(&reader, ':'));
        if (is(name, "Metadata")) TRY(read_metadata(&reader, change));
        else if (is(name, "Keys")) TRY(read_keys(&reader, change));
        else if (is(name, "OldImage")) TRY(read_object(&reader, &change->old));
        else if (is(name, "NewImage")) TRY(read_object(&reader, &change->new));
        else return NOT_SURE;
        TRY(read_separator(&reader, &is_end));
    }
    skip_space(&reader);
    if (reader.at != reader.end || !change->has_micros || change->keys.bytes == NULL) return NOT_SURE;
    if (change->old.bytes != NULL) TRY(check_key_of(change->old, change));
    return change->new.bytes != NULL ? check_key_of(change->new, change) : DONE;
}

/* An item as a line of a full export; None where there is none. */
static PyObject *as_line(Text item) {
    static const char BEFORE[] = "{\"Item\":";
    const size_t before = sizeof BEFORE - 1;
    if (item.bytes == NULL) return Py_NewRef(Py_None);
    PyObject *line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(before + item.size + 1));
    if (line == NULL) return NULL;
    char *bytes = PyBytes_AS_STRING(line);
    memcpy(bytes, BEFORE, before);
    memcpy(bytes + before, item.bytes, item.size);
    bytes[before + item.size] = '}';
    return line;
}

PyObject *read_change(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 2 || !PyBytes_CheckExact(arguments[0]) || !PyTuple_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "read_change takes a line (bytes) and the names of the key (a tuple)");
        return NULL;
    }
    Change change = {.key_count = PyTuple_GET_SIZE(arguments[1])};
    if (change.key_count < 1 || change.key_count > MOST_KEYS) Py_RETURN_NONE;
    for (Py_ssize_t number = 0; number < change.key_count; number++) {
        Py_ssize_t size;
        const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(arguments[1], number), &size);
        if (name == NULL) return NULL;
        change.names[number] = (Text){(const unsigned char *)name, (size_t)size};
    }
    const unsigned char *line = (const unsigned char *)PyBytes_AS_STRING(arguments[0]);
    Reader reader = {line, line + PyBytes_GET_SIZE(arguments[0])};
    if (read_line(reader, &change) != DONE) Py_RETURN_NONE;
    PyObject *keys = as_line(change.keys), *old = as_line(change.old), *new = as_line(change.new), *result = NULL;
    if (keys != NULL && old != NULL && new != NULL) result = Py_BuildValue("(LOOO)", change.micros, keys, old, new);
    Py_XDECREF(keys);
    Py_XDECREF(old);
    Py_XDECREF(new);
    return result;
}
