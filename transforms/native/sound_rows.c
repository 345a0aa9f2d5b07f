/* Rows of sound items, the quick way: what `__init__.py` describes as steps, done from an item as orjson parsed it to a row's fields.

   It refuses nothing. Of an item that it does not know to be sound, or that is written in a rare way (a timestamp with a fraction, a
   number with an exponent), it says "not sure", and the way in Python decides. So each rule about what is refused, and with which words,
   stands in Python alone; here stands only what the row of a sound item is, and tests hold that it is the same row to the byte.

   References: whatever is read of an item is borrowed from it, and the item is held by the caller. What steps hold is held by `plan`.

   The layout of fields is PostgreSQL's binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html */

#include "json.h"
#include "row.h"
#include "values.h"

/* That of __init__.py: raise both when the steps, or the row that a step makes, change. */
#define VERSION 1

/* -- the steps ------------------------------------------------------------------------------------------------------------------------- */

/* In the order of `Kind` in __init__.py. */
typedef enum { CONSTANT, CALL, UUID, TEXT, UUID_AS_TEXT, ONE_OF, UPPER_CASED, BOOLEAN, TIMESTAMP, LATER_OF, JSONB, KINDS } Kind;

typedef struct {
    int kind;
    Py_ssize_t attribute, other;            /* numbers of attributes; of a map, where the kind is CALL; `other` is that of LATER_OF */
    PyObject *if_missing, *missing_notice;  /* bytes or None: not sure; a notice or None */
    PyObject *notice;                       /* of what is stored though it is not as expected; None: nothing to say, or not sure */
    PyObject *fields;                       /* ONE_OF: text -> field; UPPER_CASED: the fields that are known */
    PyObject *to_field;                     /* CALL: the column's own function */
    long long earliest, latest;             /* milliseconds */
} Step;

typedef struct {
    Py_ssize_t map, opens; /* the map that it is in; the map that it is, or -1 */
    PyObject *name;
} Attribute;

typedef struct {
    PyObject_HEAD
    PyObject *plan; /* holds what steps and attributes point to */
    Step *steps;
    Attribute *attributes;
    Py_ssize_t step_count, attribute_count, map_count;
    Row spare; /* the room of the last row, while nobody uses it */
} SoundRows;

static Outcome note(PyObject *notices, PyObject *notice) {
    if (notice == Py_None) return DONE;
    return PyList_Append(notices, notice) ? FAILED : DONE;
}

static Outcome put_upper_cased(Row *row, const Step *step, Text text, PyObject *notices) {
    if (text.size == 0) return NOT_SURE;
    size_t begin = row->size;
    TRY(put_length(row, text.size));
    TRY(make_room(row, text.size));
    for (size_t index = 0; index < text.size; index++) {
        char one = text.bytes[index];
        if (one == 0) return NOT_SURE;
        row->bytes[row->size++] = (unsigned char)(one >= 'a' && one <= 'z' ? one - 0x20 : one);
    }
    PyObject *field = PyBytes_FromStringAndSize((char *)row->bytes + begin, (Py_ssize_t)(row->size - begin));
    int known = field == NULL ? -1 : PySet_Contains(step->fields, field);
    Py_XDECREF(field);
    if (known < 0) return FAILED;
    return known ? DONE : note(notices, step->notice);
}

static Outcome put_string_kind(Row *row, const Step *step, PyObject *string, PyObject *notices) {
    Text text;
    unsigned char uuid[16];
    TRY(read_text(string, &text));
    switch (step->kind) {
        case UUID:
            if (text.size == 0 && step->notice != Py_None) {
                TRY(note(notices, step->notice));
                return put(row, "\xff\xff\xff\xff", 4);
            }
            if (!read_uuid(text, uuid)) return NOT_SURE;
            TRY(put_length(row, sizeof uuid));
            return put(row, uuid, sizeof uuid);
        case UUID_AS_TEXT:
            if (!read_uuid(text, uuid)) TRY(note(notices, step->notice));
            break;
        case UPPER_CASED: return put_upper_cased(row, step, text, notices);
        default: break;
    }
    if (memchr(text.bytes, 0, text.size) != NULL) return NOT_SURE;
    TRY(put_length(row, text.size));
    return put(row, text.bytes, text.size);
}

static Outcome put_missing(Row *row, const Step *step, PyObject *notices) {
    if (step->if_missing == Py_None) return NOT_SURE;
    TRY(note(notices, step->missing_notice));
    return put_field(row, step->if_missing);
}

static Outcome call_column(Row *row, const Step *step, PyObject *map, PyObject *notices) {
    PyObject *nothing = map == NULL ? PyDict_New() : Py_NewRef(map);
    if (nothing == NULL) return FAILED;
    PyObject *field = PyObject_CallFunctionObjArgs(step->to_field, nothing, notices, NULL);
    Py_DECREF(nothing);
    if (field == NULL) return FAILED;
    Outcome outcome = PyBytes_CheckExact(field) ? put_field(row, field) : NOT_SURE;
    Py_DECREF(field);
    return outcome;
}

static Outcome put_later(Row *row, const Step *step, PyObject *first, PyObject *second, PyObject *notices) {
    int64_t one = INT64_MIN, other = INT64_MIN;
    if (is_missing(first) && is_missing(second)) return put_missing(row, step, notices);
    if (!is_missing(first)) TRY(read_milliseconds(first, step->earliest, step->latest, &one));
    if (!is_missing(second)) TRY(read_milliseconds(second, step->earliest, step->latest, &other));
    return put_timestamptz(row, one > other ? one : other);
}

static Outcome do_step(Row *row, const Step *step, PyObject *const *values, PyObject *const *maps, PyObject *notices) {
    if (step->kind == CONSTANT) return put_field(row, step->if_missing);
    if (step->kind == CALL) return call_column(row, step, maps[step->attribute], notices);
    PyObject *value = values[step->attribute];
    if (step->kind == LATER_OF) return put_later(row, step, value, values[step->other], notices);
    if (is_missing(value)) return put_missing(row, step, notices);
    if (step->kind == JSONB) return put_jsonb(row, value);
    if (step->kind == TIMESTAMP) {
        int64_t milliseconds;
        TRY(read_milliseconds(value, step->earliest, step->latest, &milliseconds));
        return put_timestamptz(row, milliseconds);
    }
    if (step->kind == BOOLEAN) {
        PyObject *content = content_of(value, TAG_BOOL);
        if (content != Py_True && content != Py_False) return NOT_SURE;
        return put(row, content == Py_True ? "\0\0\0\1\1" : "\0\0\0\1\0", 5);
    }
    PyObject *content = content_of(value, TAG_S);
    if (step->kind == ONE_OF) {
        if (content == NULL || !PyUnicode_CheckExact(content)) return NOT_SURE;
        PyObject *field = PyDict_GetItemWithError(step->fields, content);
        return field == NULL ? NOT_SURE : put_field(row, field);
    }
    return put_string_kind(row, step, content, notices);
}

/* Each attribute once: its value, and how many names of each map have a use. */
static Outcome look_up(const SoundRows *self, PyObject **values, PyObject **maps, Py_ssize_t *used) {
    for (Py_ssize_t index = 0; index < self->attribute_count; index++) {
        const Attribute *attribute = &self->attributes[index];
        PyObject *map = maps[attribute->map];
        PyObject *value = map == NULL ? NULL : PyDict_GetItemWithError(map, attribute->name);
        values[index] = value;
        used[attribute->map] += value != NULL;
        if (attribute->opens < 0 || is_missing(value)) continue;
        PyObject *members = content_of(value, TAG_M);
        if (members == NULL || !PyDict_CheckExact(members)) return NOT_SURE;
        maps[attribute->opens] = members;
    }
    return DONE;
}

static Outcome make_row(const SoundRows *self, Row *row, PyObject *item, PyObject *notices, PyObject **scratch, bool *all_mapped) {
    PyObject **values = scratch, **maps = scratch + self->attribute_count;
    Py_ssize_t *used = (Py_ssize_t *)(maps + self->map_count);
    maps[0] = item;
    TRY(look_up(self, values, maps, used));
    for (Py_ssize_t index = 0; index < self->step_count; index++) TRY(do_step(row, &self->steps[index], values, maps, notices));
    *all_mapped = true;
    for (Py_ssize_t map = 0; map < self->map_count; map++) {
        if (maps[map] != NULL && PyDict_GET_SIZE(maps[map]) != used[map]) *all_mapped = false;
    }
    return DONE;
}

static PyObject *encode(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    SoundRows *self = (SoundRows *)object;
    if (count != 2 || !PyDict_CheckExact(arguments[0]) || !PyList_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "encode takes an item (dict) and a list for notices");
        return NULL;
    }
    /* A column's own function may let another thread in here: it finds no spare room, and makes its own. */
    Row row = self->spare;
    self->spare = (Row){NULL, 0, 0};
    row.size = 0;
    bool all_mapped = false;
    size_t places = (size_t)(self->attribute_count + 2 * self->map_count);
    PyObject **scratch = PyMem_Calloc(places, sizeof(PyObject *));
    Outcome outcome = FAILED;
    if (scratch == NULL) PyErr_NoMemory();
    else outcome = make_row(self, &row, arguments[0], arguments[1], scratch, &all_mapped);
    PyMem_Free(scratch);
    if (PyErr_Occurred()) outcome = FAILED;

    PyObject *result = NULL;
    if (outcome == DONE) {
        PyObject *fields = PyBytes_FromStringAndSize((char *)row.bytes, (Py_ssize_t)row.size);
        if (fields != NULL) result = PyTuple_Pack(2, fields, all_mapped ? Py_True : Py_False);
        Py_XDECREF(fields);
    }
    else if (outcome == NOT_SURE) result = Py_NewRef(Py_None);
    if (self->spare.bytes == NULL) self->spare = row;
    else PyMem_Free(row.bytes);
    return result;
}

/* -- the Python type ------------------------------------------------------------------------------------------------------------------- */

static bool is_bytes_or_none(PyObject *object) { return object == Py_None || PyBytes_CheckExact(object); }

static int read_step(PyObject *tuple, Step *step, const SoundRows *self) {
    if (!PyArg_ParseTuple(tuple, "innOOOOOLL:step", &step->kind, &step->attribute, &step->other, &step->if_missing, &step->missing_notice,
                          &step->notice, &step->fields, &step->to_field, &step->earliest, &step->latest)) return -1;
    Py_ssize_t most = step->kind == CALL ? self->map_count : self->attribute_count;
    bool is_sound = step->kind >= 0 && step->kind < KINDS && is_bytes_or_none(step->if_missing);
    if (step->kind == CONSTANT) is_sound = is_sound && step->if_missing != Py_None;
    else is_sound = is_sound && step->attribute >= 0 && step->attribute < most;
    if (step->kind == LATER_OF) is_sound = is_sound && step->other >= 0 && step->other < most;
    if (step->kind == UPPER_CASED) is_sound = is_sound && PyFrozenSet_CheckExact(step->fields);
    if (step->kind == ONE_OF) {
        PyObject *name, *field;
        Py_ssize_t position = 0;
        is_sound = is_sound && PyDict_CheckExact(step->fields);
        while (is_sound && PyDict_Next(step->fields, &position, &name, &field)) is_sound = PyBytes_CheckExact(field);
    }
    if (!is_sound) PyErr_SetString(PyExc_ValueError, "no such step");
    return is_sound ? 0 : -1;
}

static int read_attribute(PyObject *tuple, Attribute *attribute, const SoundRows *self) {
    if (!PyArg_ParseTuple(tuple, "nUn:attribute", &attribute->map, &attribute->name, &attribute->opens)) return -1;
    if (attribute->map >= 0 && attribute->map < self->map_count && attribute->opens < self->map_count) return 0;
    PyErr_SetString(PyExc_ValueError, "no such map");
    return -1;
}

static int initialise(PyObject *object, PyObject *arguments, PyObject *names) {
    SoundRows *self = (SoundRows *)object;
    PyObject *attributes, *steps;
    if (self->plan != NULL || (names != NULL && PyDict_GET_SIZE(names))) {
        PyErr_SetString(PyExc_TypeError, "SoundRows is made once, of positional arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(arguments, "nO!O!:SoundRows", &self->map_count, &PyTuple_Type, &attributes, &PyTuple_Type, &steps)) return -1;
    if (self->map_count < 1) {
        PyErr_SetString(PyExc_ValueError, "the item itself is a map");
        return -1;
    }
    self->plan = Py_NewRef(arguments);
    self->attribute_count = PyTuple_GET_SIZE(attributes);
    self->step_count = PyTuple_GET_SIZE(steps);
    self->attributes = PyMem_New(Attribute, (size_t)self->attribute_count + 1);
    self->steps = PyMem_New(Step, (size_t)self->step_count + 1);
    if (self->attributes == NULL || self->steps == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < self->attribute_count; index++) {
        if (read_attribute(PyTuple_GET_ITEM(attributes, index), &self->attributes[index], self)) return -1;
    }
    for (Py_ssize_t index = 0; index < self->step_count; index++) {
        if (read_step(PyTuple_GET_ITEM(steps, index), &self->steps[index], self)) return -1;
    }
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((SoundRows *)object)->plan);
    return 0;
}

static int clear(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    self->step_count = self->attribute_count = 0;
    Py_CLEAR(self->plan);
    return 0;
}

static void deallocate(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    PyObject_GC_UnTrack(object);
    clear(object);
    PyMem_Free(self->steps);
    PyMem_Free(self->attributes);
    PyMem_Free(self->spare.bytes);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL, "The fields of an item's row, and whether each attribute has a column."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject SoundRowsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "transforms.sound_rows.SoundRows",
    .tp_doc = "The rows of one table's sound items; see sound_rows.pyi.",
    .tp_basicsize = sizeof(SoundRows),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew,
    .tp_init = initialise,
    .tp_traverse = traverse,
    .tp_clear = clear,
    .tp_dealloc = deallocate,
    .tp_methods = methods,
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "transforms.sound_rows",
    .m_doc = "Rows of sound items, the quick way; see sound_rows.pyi.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_sound_rows(void) {
    struct { PyObject **tag; const char *name; } tags[] = {{&TAG_S, "S"}, {&TAG_N, "N"}, {&TAG_M, "M"}, {&TAG_BOOL, "BOOL"}, {&TAG_NULL, "NULL"}};
    for (size_t index = 0; index < sizeof tags / sizeof *tags; index++) {
        *tags[index].tag = PyUnicode_InternFromString(tags[index].name);
        if (*tags[index].tag == NULL) return NULL;
    }
    if (PyType_Ready(&SoundRowsType)) return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    if (PyModule_AddIntConstant(made, "VERSION", VERSION) || PyModule_AddObjectRef(made, "SoundRows", (PyObject *)&SoundRowsType)) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
