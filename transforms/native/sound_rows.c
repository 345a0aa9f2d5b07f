/* Rows of sound items, the quick way: what `plan.py` describes as steps, done from a line of a data file to a row's fields, in one pass
   and without an object in between.

   It refuses nothing. Of a line that it does not know to be sound, or that is written in a rare way (a timestamp with an exponent, a name
   with an escape), it says "not sure", and the way in Python decides. So each rule about what is refused, and with which words, stands in
   Python alone; here stands only what the row of a sound item is, and tests hold that it is the same row to the byte.

   The layout of fields is PostgreSQL's binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html

   It relies on the interpreter's lock: `spare` is shared by all who encode with one SoundRows. The module does not claim otherwise
   (no Py_mod_gil, no Py_mod_multiple_interpreters), so a free-threaded Python turns its lock on for it. */

#include "steps.h"

/* The files that it was built of, as `name:hash name:hash`, which setup.py says; `plan.py` compares them with those beside it. */
#ifndef SOURCES
#define SOURCES ""
#endif

typedef struct {
    Py_ssize_t map, opens; /* the map that it is in; the map that it is, or -1 */
    Text name;
    const Py_ssize_t *uses; /* the numbers of the steps that use it */
    Py_ssize_t use_count;
    Py_ssize_t next; /* of those whose names fall together, or -1 */
} Attribute;

#define BUCKETS 64
/* Items with more of them go the way in Python: each name is compared with those before it. */
#define MOST_UNMAPPED 64

/* An attribute that no column takes. */
typedef struct {
    Py_ssize_t map;
    Text name;
    bool is_null;
} Unmapped;

/* What one item needs, kept for the next. */
typedef struct {
    Row row; /* fields in the order of the item's attributes */
    Made *made;
    bool *is_seen; /* by attribute */
    Unmapped *unmapped;
    size_t unmapped_count;
} Work;

typedef struct {
    PyObject_HEAD
    PyObject *plan; /* holds what steps and attributes point to */
    Step *steps;
    Attribute *attributes;
    Py_ssize_t *uses;
    Py_ssize_t buckets[BUCKETS]; /* the first attribute of each, or -1 */
    Py_ssize_t step_count, attribute_count, map_count;
    bool is_ready;
    Work spare; /* while nobody uses it; `made` is NULL while somebody does */
} SoundRows;

/* -- the line -------------------------------------------------------------------------------------------------------------------------- */

static Outcome read_members(const SoundRows *self, Work *work, Reader *reader, Py_ssize_t map);

/* The value of an attribute that has a use, for each step that uses it. */
static Outcome read_attribute(const SoundRows *self, Work *work, Reader *reader, Py_ssize_t number) {
    const Attribute *attribute = &self->attributes[number];
    Text tag;
    skip_space(reader);
    const unsigned char *value = reader->at;
    TRY(open_value(reader, &tag));
    if (is(tag, "NULL")) {
        TRY(expect_word(reader, "true"));
        return close_value(reader);
    }
    const Reader content = *reader;
    for (Py_ssize_t use = 0; use < attribute->use_count; use++) {
        Made *made = &work->made[attribute->uses[use]];
        made->begin = work->row.size;
        *reader = content;
        TRY(do_step(&work->row, &self->steps[attribute->uses[use]], made, reader, tag));
        made->size = work->row.size - made->begin;
        made->is_made = true;
    }
    if (attribute->opens >= 0) {
        if (!is(tag, "M")) return NOT_SURE;
        *reader = content;
        TRY(read_members(self, work, reader, attribute->opens));
    }
    TRY(close_value(reader));
    const Text json = {value, (size_t)(reader->at - value)};
    for (Py_ssize_t use = 0; use < attribute->use_count; use++) {
        Made *made = &work->made[attribute->uses[use]];
        if (self->steps[attribute->uses[use]].attribute == number) made->json = json;
        else made->other = json;
    }
    return DONE;
}

/* The value of an attribute that no column takes: written to see that it is sound, and not kept. */
static Outcome read_unmapped(Work *work, Reader *reader, Py_ssize_t map, Text name) {
    Text tag;
    if (work->unmapped_count == MOST_UNMAPPED) return NOT_SURE;
    for (size_t index = 0; index < work->unmapped_count; index++) {
        const Unmapped *other = &work->unmapped[index];
        if (other->map == map && other->name.size == name.size && memcmp(other->name.bytes, name.bytes, name.size) == 0) return NOT_SURE;
    }
    size_t size = work->row.size;
    TRY(open_value(reader, &tag));
    TRY(put_content(&work->row, reader, tag, 0));
    TRY(close_value(reader));
    work->row.size = size;
    work->unmapped[work->unmapped_count++] = (Unmapped){map, name, is(tag, "NULL")};
    return DONE;
}

static size_t bucket_of(Text name) {
    return name.size == 0 ? 0 : (name.size * 5 + name.bytes[0] * 3u + name.bytes[name.size - 1]) % BUCKETS;
}

static Py_ssize_t find_attribute(const SoundRows *self, Py_ssize_t map, Text name) {
    for (Py_ssize_t number = self->buckets[bucket_of(name)]; number >= 0; number = self->attributes[number].next) {
        const Attribute *attribute = &self->attributes[number];
        if (attribute->name.size == name.size && attribute->map == map && memcmp(attribute->name.bytes, name.bytes, name.size) == 0) return number;
    }
    return -1;
}

/* The members of the item, or of a map inside it. Of a name that comes twice the last one counts, which is for Python to see to. */
static Outcome read_members(const SoundRows *self, Work *work, Reader *reader, Py_ssize_t map) {
    Text name;
    TRY(expect(reader, '{'));
    if (take(reader, '}')) return DONE;
    do {
        TRY(read_plain(reader, &name));
        TRY(expect(reader, ':'));
        Py_ssize_t number = find_attribute(self, map, name);
        if (number < 0) {
            TRY(read_unmapped(work, reader, map, name));
            continue;
        }
        if (work->is_seen[number]) return NOT_SURE;
        work->is_seen[number] = true;
        TRY(read_attribute(self, work, reader, number));
    } while (take(reader, ','));
    return expect(reader, '}');
}

static Outcome read_line(const SoundRows *self, Work *work, Reader reader) {
    Text name;
    TRY(expect(&reader, '{'));
    TRY(read_plain(&reader, &name));
    if (!is(name, "Item")) return NOT_SURE;
    TRY(expect(&reader, ':'));
    TRY(read_members(self, work, &reader, 0));
    TRY(expect(&reader, '}'));
    skip_space(&reader);
    return reader.at == reader.end ? DONE : NOT_SURE;
}

/* -- the row --------------------------------------------------------------------------------------------------------------------------- */

static PyObject *bytes_or_none(Text text) {
    return text.bytes ? PyBytes_FromStringAndSize((const char *)text.bytes, (Py_ssize_t)text.size) : Py_NewRef(Py_None);
}

static Outcome call_column(Row *row, const Step *step, const Made *made, PyObject *notices) {
    PyObject *json = bytes_or_none(made->json), *other = bytes_or_none(made->other);
    PyObject *field = json && other ? PyObject_CallFunctionObjArgs(step->to_field, json, other, notices, NULL) : NULL;
    Py_XDECREF(json);
    Py_XDECREF(other);
    if (field == NULL) return FAILED;
    Outcome outcome = PyBytes_CheckExact(field) ? put_field(row, field) : NOT_SURE;
    Py_DECREF(field);
    return outcome;
}

/* What the item itself did not give: constants, missing attributes, the later of two times, columns of a user's own. */
static Outcome finish_step(Row *row, const Step *step, Made *made, PyObject *notices) {
    bool is_left = !made->is_made || step->kind == CALL || step->kind == LATER_OF;
    if (is_left) made->begin = row->size;
    if (step->kind == CALL) {
        TRY(call_column(row, step, made, notices));
    } else if (!made->is_made) {
        if (step->if_missing == Py_None) return NOT_SURE;
        TRY(put_field(row, step->if_missing));
        made->notice = step->missing_notice;
    } else if (step->kind == LATER_OF) {
        TRY(put_timestamptz(row, made->microseconds));
    }
    if (is_left) made->size = row->size - made->begin;
    bool is_noted = made->notice != NULL && made->notice != Py_None;
    return is_noted && PyList_Append(notices, made->notice) ? FAILED : DONE;
}

static Outcome make_row(const SoundRows *self, Work *work, Reader reader, PyObject *notices, PyObject **fields) {
    size_t size = 0;
    TRY(read_line(self, work, reader));
    for (Py_ssize_t index = 0; index < self->step_count; index++) {
        TRY(finish_step(&work->row, &self->steps[index], &work->made[index], notices));
        size += work->made[index].size;
    }
    *fields = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (*fields == NULL) return FAILED;
    char *at = PyBytes_AS_STRING(*fields);
    for (Py_ssize_t index = 0; index < self->step_count; index++) {
        const Made *made = &work->made[index];
        if (made->size > 0) memcpy(at, work->row.bytes + made->begin, made->size);
        at += made->size;
    }
    return DONE;
}

/* (map, name) of each attribute that no column takes, but for those that are NULL, which is as if they were not there. */
static PyObject *unmapped_names(const Work *work) {
    PyObject *names = PyList_New(0);
    for (size_t index = 0; names != NULL && index < work->unmapped_count; index++) {
        const Unmapped *unmapped = &work->unmapped[index];
        if (unmapped->is_null) continue;
        PyObject *name = Py_BuildValue("ns#", unmapped->map, unmapped->name.bytes, (Py_ssize_t)unmapped->name.size);
        if (name == NULL || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static void free_work(Work *work) {
    PyMem_Free(work->row.bytes);
    PyMem_Free(work->made);
    PyMem_Free(work->is_seen);
    PyMem_Free(work->unmapped);
    *work = (Work){0};
}

/* A column's own function may encode another line with this SoundRows: `spare` is in use then, and a new one is made. */
static Outcome take_work(SoundRows *self, Work *work) {
    *work = self->spare;
    self->spare = (Work){0};
    size_t steps = (size_t)self->step_count + 1, attributes = (size_t)self->attribute_count + 1;
    if (work->made == NULL) {
        work->made = PyMem_New(Made, steps);
        work->is_seen = PyMem_New(bool, attributes);
        work->unmapped = PyMem_New(Unmapped, MOST_UNMAPPED);
    }
    if (work->made == NULL || work->is_seen == NULL || work->unmapped == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    memset(work->made, 0, steps * sizeof(Made));
    memset(work->is_seen, 0, attributes * sizeof(bool));
    work->row.size = 0;
    work->unmapped_count = 0;
    return DONE;
}

static PyObject *encode(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    SoundRows *self = (SoundRows *)object;
    if (!self->is_ready) {
        PyErr_SetString(PyExc_TypeError, "this SoundRows was never initialised");
        return NULL;
    }
    if (count != 2 || !PyBytes_CheckExact(arguments[0]) || !PyList_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "encode takes a line (bytes) and a list for notices");
        return NULL;
    }
    const unsigned char *line = (const unsigned char *)PyBytes_AS_STRING(arguments[0]);
    Reader reader = {line, line + PyBytes_GET_SIZE(arguments[0])};
    PyObject *fields = NULL, *unmapped = Py_None, *result = NULL;
    Work work;
    Outcome outcome = take_work(self, &work);
    if (outcome == DONE) outcome = make_row(self, &work, reader, arguments[1], &fields);
    if (outcome == DONE && work.unmapped_count > 0) {
        unmapped = unmapped_names(&work);
        if (unmapped == NULL) outcome = FAILED;
    }
    if (outcome == DONE) result = PyTuple_Pack(2, fields, unmapped);
    else if (outcome == NOT_SURE) result = Py_NewRef(Py_None);
    Py_XDECREF(fields);
    if (unmapped != Py_None) Py_XDECREF(unmapped);
    if (self->spare.made == NULL && work.made != NULL && work.is_seen != NULL && work.unmapped != NULL) self->spare = work;
    else free_work(&work);
    return result;
}

/* -- the Python type ------------------------------------------------------------------------------------------------------------------- */

static bool is_bytes_or_none(PyObject *object) { return object == Py_None || PyBytes_CheckExact(object); }

static bool is_tuple_of_bytes(PyObject *object) {
    if (!PyTuple_CheckExact(object)) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(object); index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(object, index))) return false;
    }
    return true;
}

static Kind kind_named(const char *name) {
    int kind = 0;
    while (kind < KINDS && strcmp(KIND_NAMES[kind], name) != 0) kind++;
    return (Kind)kind;
}

static int take_step(PyObject *tuple, Step *step, const SoundRows *self) {
    const char *kind;
    if (!PyArg_ParseTuple(tuple, "snnOOOOOLL:step", &kind, &step->attribute, &step->other, &step->if_missing, &step->missing_notice,
                          &step->notice, &step->texts, &step->to_field, &step->earliest, &step->latest)) return -1;
    step->kind = kind_named(kind);
    bool is_sound = step->kind < KINDS && is_bytes_or_none(step->if_missing);
    if (step->kind == CONSTANT) is_sound = is_sound && step->if_missing != Py_None && step->attribute == -1;
    else is_sound = is_sound && step->attribute >= 0 && step->attribute < self->attribute_count;
    if (step->kind == LATER_OF) is_sound = is_sound && step->other >= 0;
    else if (step->kind != CALL) is_sound = is_sound && step->other == -1;
    is_sound = is_sound && step->other >= -1 && step->other < self->attribute_count;
    is_sound = is_sound && step->earliest >= 0 && step->latest <= MOST_MILLISECONDS;
    if (step->kind == ONE_OF || step->kind == UPPER_CASED) is_sound = is_sound && is_tuple_of_bytes(step->texts);
    if (!is_sound) PyErr_SetString(PyExc_ValueError, "no such step");
    return is_sound ? 0 : -1;
}

static int take_attribute(PyObject *tuple, Attribute *attribute, const SoundRows *self) {
    Py_ssize_t size;
    const char *name;
    if (!PyArg_ParseTuple(tuple, "ns#n:attribute", &attribute->map, &name, &size, &attribute->opens)) return -1;
    attribute->name = (Text){(const unsigned char *)name, (size_t)size};
    if (attribute->map >= 0 && attribute->map < self->map_count && attribute->opens >= -1 && attribute->opens < self->map_count) return 0;
    PyErr_SetString(PyExc_ValueError, "no such map");
    return -1;
}

/* What is looked up for every line: attributes by their names, steps by their attributes. */
static void prepare(SoundRows *self) {
    Py_ssize_t *use = self->uses;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) self->buckets[bucket] = -1;
    for (Py_ssize_t number = 0; number < self->attribute_count; number++) {
        Attribute *attribute = &self->attributes[number];
        Py_ssize_t *bucket = &self->buckets[bucket_of(attribute->name)];
        attribute->next = *bucket;
        *bucket = number;
        attribute->uses = use;
        for (Py_ssize_t index = 0; index < self->step_count; index++) {
            if (self->steps[index].attribute == number || self->steps[index].other == number) *use++ = index;
        }
        attribute->use_count = use - attribute->uses;
    }
}

static int initialise(PyObject *object, PyObject *arguments, PyObject *names) {
    SoundRows *self = (SoundRows *)object;
    PyObject *attributes, *steps;
    if (self->steps != NULL || (names != NULL && PyDict_GET_SIZE(names))) {
        PyErr_SetString(PyExc_TypeError, "SoundRows is made once, of positional arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(arguments, "nO!O!:SoundRows", &self->map_count, &PyTuple_Type, &attributes, &PyTuple_Type, &steps)) return -1;
    self->plan = Py_NewRef(arguments);
    self->attributes = PyMem_New(Attribute, (size_t)PyTuple_GET_SIZE(attributes) + 1);
    self->steps = PyMem_New(Step, (size_t)PyTuple_GET_SIZE(steps) + 1);
    self->uses = PyMem_New(Py_ssize_t, 2 * (size_t)PyTuple_GET_SIZE(steps) + 1); /* no step has more than two attributes */
    if (self->attributes == NULL || self->steps == NULL || self->uses == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (; self->attribute_count < PyTuple_GET_SIZE(attributes); self->attribute_count++) {
        if (take_attribute(PyTuple_GET_ITEM(attributes, self->attribute_count), &self->attributes[self->attribute_count], self)) return -1;
    }
    for (; self->step_count < PyTuple_GET_SIZE(steps); self->step_count++) {
        if (take_step(PyTuple_GET_ITEM(steps, self->step_count), &self->steps[self->step_count], self)) return -1;
    }
    prepare(self);
    self->is_ready = true;
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((SoundRows *)object)->plan);
    return 0;
}

static int clear(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    self->is_ready = false;
    Py_CLEAR(self->plan);
    return 0;
}

static void deallocate(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    PyObject_GC_UnTrack(object);
    clear(object);
    PyMem_Free(self->steps);
    PyMem_Free(self->attributes);
    PyMem_Free(self->uses);
    free_work(&self->spare);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL, "The fields of a line's row, and the attributes that no column takes."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject SoundRowsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "transforms.native.sound_rows.SoundRows",
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
    .m_name = "transforms.native.sound_rows",
    .m_doc = "Rows of sound items, the quick way; see sound_rows.pyi.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit_sound_rows(void) {
    if (PyType_Ready(&SoundRowsType)) return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    if (PyModule_AddStringConstant(made, "SOURCES", SOURCES) || PyModule_AddObjectRef(made, "SoundRows", (PyObject *)&SoundRowsType)) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
