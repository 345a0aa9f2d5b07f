/* Conditions, evaluated on the line as it stands. Names and values are compared as UTF-8; numbers where both are plain integers. */

#include "where.h"

/* Larger maps go the way in Python: each name is compared with those before it. */
#define MOST_NAMES 256
#define MOST_DIGITS 38

#define AS_STRING(kind) #kind,
static const char *const NAMES[CONDITIONS_KNOWN] = {EACH_CONDITION(AS_STRING)};

/* -- the way to an attribute ---------------------------------------------------------------------------------------------------------- */

/* The value of a member; `value` is without bytes where there is none. A name that comes twice is for Python to see to. */
static Outcome find_member(Reader reader, Text wanted, Text *value) {
    Text name;
    *value = (Text){0};
    TRY(expect(&reader, '{'));
    if (take(&reader, '}')) return DONE;
    do {
        TRY(read_name(&reader, &name));
        TRY(expect(&reader, ':'));
        skip_space(&reader);
        const unsigned char *begin = reader.at;
        TRY(skip_value(&reader));
        if (name.size != wanted.size || memcmp(name.bytes, wanted.bytes, name.size) != 0) continue;
        if (value->bytes) return NOT_SURE;
        *value = (Text){begin, (size_t)(reader.at - begin)};
    } while (take(&reader, ','));
    return expect(&reader, '}');
}

static Outcome find_element(Reader reader, Py_ssize_t index, Text *value) {
    *value = (Text){0};
    TRY(expect(&reader, '['));
    if (take(&reader, ']')) return DONE;
    for (Py_ssize_t at = 0;; at++) {
        skip_space(&reader);
        const unsigned char *begin = reader.at;
        TRY(skip_value(&reader));
        if (at == index) *value = (Text){begin, (size_t)(reader.at - begin)};
        if (!take(&reader, ',')) return expect(&reader, ']');
    }
}

static bool is_known(Text tag) {
    static const char *const TAGS[] = {"S", "N", "B", "BOOL", "M", "L", "SS", "NS", "BS"};
    for (size_t index = 0; index < sizeof TAGS / sizeof *TAGS; index++) {
        if (is(tag, TAGS[index])) return true;
    }
    return false;
}

/* The tag of the attribute, and the reader at its content; `*is_there` is false where it is missing. */
static Outcome find_attribute_at(PyObject *names, Reader item, bool *is_there, Text *tag, Reader *content) {
    Text value;
    *is_there = false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        PyObject *name = PyTuple_GET_ITEM(names, index);
        bool is_element = PyLong_Check(name);
        if (index > 0 && !is(*tag, is_element ? "L" : "M")) return DONE;
        if (is_element) {
            TRY(find_element(*content, PyLong_AsSsize_t(name), &value));
        } else {
            Text wanted = {(const unsigned char *)PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name)};
            TRY(find_member(index > 0 ? *content : item, wanted, &value));
        }
        if (value.bytes == NULL) return DONE;
        *content = (Reader){value.bytes, value.bytes + value.size};
        TRY(open_value(content, tag));
        if (is(*tag, "NULL")) {
            TRY(expect_word(content, "true"));
            return close_value(content);
        }
        if (!is_known(*tag)) return NOT_SURE;
    }
    *is_there = true;
    return DONE;
}

/* -- what it is compared with --------------------------------------------------------------------------------------------------------- */

static bool is_among(PyObject *texts, Text text) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(texts); index++) {
        PyObject *one = PyTuple_GET_ITEM(texts, index);
        if ((size_t)PyBytes_GET_SIZE(one) == text.size && memcmp(PyBytes_AS_STRING(one), text.bytes, text.size) == 0) return true;
    }
    return false;
}

/* Digits that no other digits are equal to. */
static bool is_plain_integer(Text text) {
    size_t sign = text.size > 0 && text.bytes[0] == '-' ? 1 : 0, digits = text.size - sign;
    if (digits == 0 || digits > MOST_DIGITS || (text.bytes[sign] == '0' && text.size > 1)) return false;
    for (size_t at = sign; at < text.size; at++) {
        if (text.bytes[at] < '0' || text.bytes[at] > '9') return false;
    }
    return true;
}

static Outcome compare(const Condition *condition, Text tag, Reader content, Row *text, bool *holds) {
    Text number;
    text->size = 0;
    TRY(make_room(text, 1)); /* an empty text has a place, too */
    if (is(tag, "S") && PyTuple_GET_SIZE(condition->texts) > 0) {
        TRY(put_string(text, &content, false));
        Text found = {text->bytes, text->size};
        size_t size = condition->kind == IS_BEGINS_WITH ? (size_t)PyBytes_GET_SIZE(PyTuple_GET_ITEM(condition->texts, 0)) : found.size;
        *holds = found.size >= size && is_among(condition->texts, (Text){found.bytes, size});
    } else if (is(tag, "N") && PyTuple_GET_SIZE(condition->numbers) > 0) {
        TRY(read_plain(&content, &number));
        if (!is_plain_integer(number)) return NOT_SURE;
        *holds = is_among(condition->numbers, number);
    } else if (is(tag, "BOOL") && condition->booleans) {
        bool is_true = expect_word(&content, "true") == DONE;
        if (!is_true) TRY(expect_word(&content, "false"));
        *holds = condition->booleans & (is_true ? 2 : 1);
    } else {
        /* Nothing is equal to it; but it must be an attribute value. */
        TRY(put_content(text, &content, tag, 0));
        *holds = condition->kind == IS_EXISTS;
    }
    return close_value(&content);
}

Outcome check_condition(const Condition *condition, Reader item, Row *text, Py_ssize_t *reason) {
    bool is_there, holds = false;
    Text tag = {0};
    Reader content = item;
    *reason = -1;
    switch (condition->kind) {
        case IS_ALL_OF:
            for (Py_ssize_t index = 0; index < condition->count; index++) {
                TRY(check_condition(&condition->conditions[index], item, text, reason));
                if (*reason >= 0) return DONE;
            }
            return DONE;
        case IS_ANY_OF:
            for (Py_ssize_t index = 0; index < condition->count; index++) {
                TRY(check_condition(&condition->conditions[index], item, text, reason));
                if (*reason < 0) return DONE;
            }
            *reason = condition->reason;
            return DONE;
        case IS_NOT:
            TRY(check_condition(condition->conditions, item, text, reason));
            *reason = *reason < 0 ? condition->reason : -1;
            return DONE;
        default:
            TRY(find_attribute_at(condition->names, item, &is_there, &tag, &content));
            if (is_there) TRY(compare(condition, tag, content, text, &holds));
            *reason = holds ? -1 : condition->reason;
            return DONE;
    }
}

bool looks_inside(const Condition *condition) {
    for (Py_ssize_t index = 0; index < condition->count; index++) {
        if (looks_inside(&condition->conditions[index])) return true;
    }
    return PyTuple_GET_SIZE(condition->names) > 1;
}

/* -- a sound line ---------------------------------------------------------------------------------------------------------------------- */

Outcome check_line(Reader line, Row *text) {
    Text names[MOST_NAMES], tag;
    size_t count = 0;
    TRY(expect(&line, '{'));
    TRY(read_plain(&line, &tag));
    if (!is(tag, "Item")) return NOT_SURE;
    TRY(expect(&line, ':'));
    TRY(expect(&line, '{'));
    if (!take(&line, '}')) {
        do {
            if (count == MOST_NAMES) return NOT_SURE;
            TRY(read_name(&line, &names[count]));
            for (size_t other = 0; other < count; other++) {
                if (names[other].size == names[count].size && memcmp(names[other].bytes, names[count].bytes, names[count].size) == 0) return NOT_SURE;
            }
            count++;
            TRY(expect(&line, ':'));
            TRY(open_value(&line, &tag));
            text->size = 0;
            TRY(put_content(text, &line, tag, 0));
            TRY(close_value(&line));
        } while (take(&line, ','));
        TRY(expect(&line, '}'));
    }
    TRY(expect(&line, '}'));
    skip_space(&line);
    return line.at == line.end ? DONE : NOT_SURE;
}

/* -- as it is described ---------------------------------------------------------------------------------------------------------------- */

static bool are_all_bytes(PyObject *tuple) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(tuple); index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(tuple, index))) return false;
    }
    return true;
}

/* A name first, then names and indexes. */
static bool are_names(PyObject *names) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(names); index++) {
        PyObject *name = PyTuple_GET_ITEM(names, index);
        if (!PyBytes_CheckExact(name) && (index == 0 || !PyLong_CheckExact(name))) return false;
    }
    return true;
}

int take_condition(PyObject *described, Condition *condition) {
    const char *kind;
    PyObject *inside;
    int known = 0;
    if (!PyTuple_Check(described)) {
        PyErr_SetString(PyExc_ValueError, "no such condition");
        return -1;
    }
    if (!PyArg_ParseTuple(described, "snO!O!O!iO!:condition", &kind, &condition->reason, &PyTuple_Type, &condition->names, &PyTuple_Type,
                          &condition->texts, &PyTuple_Type, &condition->numbers, &condition->booleans, &PyTuple_Type, &inside)) return -1;
    while (known < CONDITIONS_KNOWN && strcmp(NAMES[known], kind) != 0) known++;
    condition->kind = (ConditionKind)known;
    bool is_leaf = known <= IS_EXISTS;
    bool is_sound = known < CONDITIONS_KNOWN && condition->reason >= 0 && are_all_bytes(condition->texts) && are_all_bytes(condition->numbers);
    is_sound = is_sound && are_names(condition->names) && is_leaf == (PyTuple_GET_SIZE(condition->names) > 0);
    is_sound = is_sound && (known != IS_BEGINS_WITH || PyTuple_GET_SIZE(condition->texts) == 1);
    is_sound = is_sound && (known != IS_NOT || PyTuple_GET_SIZE(inside) == 1);
    if (!is_sound) {
        PyErr_SetString(PyExc_ValueError, "no such condition");
        return -1;
    }
    condition->conditions = PyMem_New(Condition, (size_t)PyTuple_GET_SIZE(inside) + 1);
    if (condition->conditions == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(condition->conditions, 0, ((size_t)PyTuple_GET_SIZE(inside) + 1) * sizeof(Condition));
    for (; condition->count < PyTuple_GET_SIZE(inside); condition->count++) {
        if (take_condition(PyTuple_GET_ITEM(inside, condition->count), &condition->conditions[condition->count])) {
            condition->count++;
            return -1;
        }
    }
    return 0;
}

void free_condition(Condition *condition) {
    for (Py_ssize_t index = 0; index < condition->count; index++) free_condition(&condition->conditions[index]);
    PyMem_Free(condition->conditions);
    *condition = (Condition){0};
}
