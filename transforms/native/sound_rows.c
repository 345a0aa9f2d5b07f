/* Rows of sound items, the quick way: what `plan.py` describes as steps, done from a line of a data file to a row's fields, in one pass
   and without an object in between.

   It refuses nothing. Of a line that it does not know to be sound, or that is written in a rare way (a timestamp with an exponent, a name
   with an escape), it says "not sure", and the way in Python decides. So each rule about what is refused, and with which words, stands in
   Python alone; here stands only what the row of a sound item is, and tests hold that it is the same row to the byte. Of an item that is
   sound but for some of its columns `find_left` tells which, so that Python need not convert the others to know what is wrong.

   The layout of fields is PostgreSQL's binary COPY format: https://www.postgresql.org/docs/current/sql-copy.html

   It relies on the interpreter's lock: `spare` is shared by all who encode with one SoundRows. The module does not claim otherwise
   (no Py_mod_gil, no Py_mod_multiple_interpreters), so a free-threaded Python turns its lock on for it. */

#include "changes.h"
#include "lines.h"
#include "looks.h"
#include "plan.h"
#include "sent.h"
#include "statistics.h"

/* The files that it was built of, as `name:hash name:hash`, which setup.py says; `plan.py` compares them with those beside it. */
#ifndef SOURCES
#define SOURCES ""
#endif

/* Items with more of them go the way in Python: each name is compared with those before it. */
#define MOST_UNMAPPED 64

/* An attribute that no column takes; without bytes in its name the elements of a list. */
typedef struct {
    Py_ssize_t map;
    Text name;
    bool is_null;
} Unmapped;

/* What becomes of that which no column takes: it is told; it is put into the rest; or it is in a text that is looked at whole. */
typedef enum { TOLD, IN_REST, WITHIN } Fate;

/* What one item needs, kept for the next. */
typedef struct {
    Row row; /* fields in the order of the item's attributes */
    Row rest; /* the content of a map, in typed JSON */
    Row text;
    Text item; /* from bracket to bracket */
    Text *values; /* of the sources of several attributes, and of columns of a user's own */
    Made *made;
    bool *is_seen; /* by attribute */
    bool is_lenient; /* what a column is not sure of is left, and the line read on */
    Text *texts; /* while it is lenient: the values of the attributes that were seen */
    Unmapped *unmapped;
    size_t unmapped_count;
} Work;

typedef struct {
    PyObject_HEAD
    Plan plan;
    Py_ssize_t *unseen; /* the numbers of the attributes that no item had of which a row was made, since `take_unseen` */
    Py_ssize_t unseen_count;
    bool is_ready;
    Work spare; /* while nobody uses it; `made` is NULL while somebody does */
} SoundRows;

/* -- the line -------------------------------------------------------------------------------------------------------------------------- */

static Outcome read_inside(const Plan *plan, Work *work, Reader *reader, const Attribute *opened, Fate fate);

/* The field of a column, of a text that was made for it. */
static Outcome do_text_step(Work *work, const Step *step, Made *made, const Source *source) {
    Reader reader = {work->text.bytes, work->text.bytes + work->text.size};
    if (!is_clean(reader, source->clean)) return NOT_SURE;
    return do_step(&work->row, step, made, &reader, (Text){(const unsigned char *)"S", 1});
}

/* What a step makes of the content of one value. */
static Outcome use_value(Work *work, const Step *step, Made *made, const Source *source, Reader *reader, Text tag) {
    size_t begin = work->row.size;
    if (source->is_simple) {
        TRY(do_step(&work->row, step, made, reader, tag));
        made->is_made = true;
        return DONE;
    }
    if (step->kind == CALL) return skip_value(reader);
    if (source->kind == FROM_JOINED) {
        if (!is(tag, "S") && !is(tag, "N")) return NOT_SURE;
        TRY(put_content(&work->row, reader, tag, 0));
        work->row.size = begin;
        return DONE;
    }
    if (source->kind == FROM_PART) {
        if (!is(tag, "S")) return NOT_SURE;
        work->text.size = 0;
        TRY(put_part(&work->text, reader, source));
        TRY(do_text_step(work, step, made, source));
    } else {
        if (is(tag, "S") && !is_clean(*reader, source->clean)) return NOT_SURE;
        TRY(do_step(&work->row, step, made, reader, tag));
    }
    made->is_made = true;
    return DONE;
}

/* The value of an attribute that one step takes as it is, as most are: the same as `read_attribute`, without what that does for others. */
static inline Outcome read_simple(const Plan *plan, Work *work, Reader *reader, Py_ssize_t number) {
    const Py_ssize_t index = plan->attributes[number].uses[0];
    Made *made = &work->made[index];
    Text tag;
    if (work->is_seen[number]) return NOT_SURE;
    work->is_seen[number] = true;
    TRY(open_value(reader, &tag));
    if (is(tag, "NULL")) {
        TRY(expect_word(reader, "true"));
        return close_value(reader);
    }
    made->begin = work->row.size;
    TRY(do_step(&work->row, &plan->steps[index], made, reader, tag));
    made->size = work->row.size - made->begin;
    made->is_made = true;
    return close_value(reader);
}

/* The value of an attribute that has a use, for each step that uses it; `*is_map` tells whether it was one that was opened. */
static Outcome read_attribute(const Plan *plan, Work *work, Reader *reader, Py_ssize_t number, Fate fate, bool *is_map) {
    const Attribute *attribute = &plan->attributes[number];
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
        Py_ssize_t index = attribute->uses[use];
        Made *made = &work->made[index];
        size_t begin = work->row.size;
        if (!made->is_made) made->begin = begin;
        *reader = content;
        TRY(use_value(work, &plan->steps[index], made, &plan->sources[index], reader, tag));
        made->size = work->row.size - begin;
    }
    if (attribute->opens >= 0) {
        if (!is(tag, attribute->is_list ? "L" : "M")) return NOT_SURE;
        *is_map = !attribute->is_list;
        *reader = content;
        TRY(read_inside(plan, work, reader, attribute, fate));
    } else if (attribute->use_count == 0) {
        size_t size = work->row.size;
        TRY(put_content(&work->row, reader, tag, 0));
        work->row.size = size;
    }
    TRY(close_value(reader));
    if (!attribute->is_kept) return DONE;
    const Text json = {value, (size_t)(reader->at - value)};
    for (Py_ssize_t use = 0; use < attribute->use_count; use++) {
        const Source *source = &plan->sources[attribute->uses[use]];
        if (!source->keeps_values) continue;
        for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(source->attributes); index++) {
            if (PyLong_AsSsize_t(PyTuple_GET_ITEM(source->attributes, index)) == number) work->values[source->first + index] = json;
        }
    }
    return DONE;
}

/* The value of an attribute that no column takes: written to see that it is sound, and not kept. Of a list it is an element. */
static Outcome read_unmapped(Work *work, Reader *reader, Py_ssize_t map, Text name) {
    Text tag;
    bool is_told = false;
    for (size_t index = 0; index < work->unmapped_count; index++) {
        const Unmapped *other = &work->unmapped[index];
        if (other->map != map) continue;
        if (name.bytes == NULL) is_told = true;
        else if (other->name.size == name.size && memcmp(other->name.bytes, name.bytes, name.size) == 0) return NOT_SURE;
    }
    size_t size = work->row.size;
    TRY(open_value(reader, &tag));
    TRY(put_content(&work->row, reader, tag, 0));
    TRY(close_value(reader));
    work->row.size = size;
    bool is_null = is(tag, "NULL");
    if (is_told || (is_null && name.bytes == NULL)) return DONE;
    if (work->unmapped_count == MOST_UNMAPPED) return NOT_SURE;
    work->unmapped[work->unmapped_count++] = (Unmapped){map, name, is_null};
    return DONE;
}

/* Of `{"M":{}}`, with whatever space. */
static bool is_empty_map(const unsigned char *begin, const unsigned char *end) {
    Reader reader = {begin, end};
    Text tag;
    return open_value(&reader, &tag) == DONE && take(&reader, '{') && take(&reader, '}');
}

static Py_ssize_t find_attribute(const Plan *plan, Py_ssize_t map, Text name) {
    for (Py_ssize_t number = plan->buckets[bucket_of(name)]; number >= 0; number = plan->attributes[number].next) {
        const Attribute *attribute = &plan->attributes[number];
        if (attribute->name.size == name.size && attribute->map == map && memcmp(attribute->name.bytes, name.bytes, name.size) == 0) return number;
    }
    return -1;
}

/* The beginning of a member of the rest. */
static Outcome begin_rest(Row *rest, Text name) {
    if (rest->size > 0 && rest->bytes[rest->size - 1] != '{') TRY(put_byte(rest, ','));
    TRY(put_byte(rest, '"'));
    TRY(put(rest, name.bytes, name.size));
    return put(rest, "\":", 2);
}

/* A member that a path goes through. In the rest is what is left of a map, or the whole where it is none. */
static Outcome read_known(const Plan *plan, Work *work, Reader *reader, Py_ssize_t number, Fate fate) {
    const Attribute *attribute = &plan->attributes[number];
    size_t size = work->rest.size;
    bool is_map = false;
    if (work->is_seen[number]) return NOT_SURE;
    work->is_seen[number] = true;
    if (fate != IN_REST || attribute->is_taken) return read_attribute(plan, work, reader, number, fate == WITHIN ? WITHIN : TOLD, &is_map);
    TRY(begin_rest(&work->rest, attribute->name));
    skip_space(reader);
    const unsigned char *value = reader->at;
    TRY(put(&work->rest, "{\"M\":{", 6));
    size_t inside = work->rest.size;
    TRY(read_attribute(plan, work, reader, number, attribute->is_list ? WITHIN : IN_REST, &is_map));
    if (!is_map) {
        work->rest.size = inside - 6;
        return put(&work->rest, value, (size_t)(reader->at - value));
    }
    /* All of it is taken, unless it is empty in the item. */
    if (work->rest.size == inside && !is_empty_map(value, reader->at)) {
        work->rest.size = size;
        return DONE;
    }
    return put(&work->rest, "}}", 2);
}

static Outcome read_unknown(Work *work, Reader *reader, Py_ssize_t map, Text name, Fate fate) {
    if (fate == TOLD) return read_unmapped(work, reader, map, name);
    skip_space(reader);
    const unsigned char *value = reader->at;
    TRY(skip_value(reader));
    if (fate == WITHIN) return DONE;
    TRY(begin_rest(&work->rest, name));
    return put(&work->rest, value, (size_t)(reader->at - value));
}

/* A member that a path goes through, when it is lenient: its columns are left where one of them is not sure of it. */
static Outcome read_or_leave(const Plan *plan, Work *work, Reader *reader, Py_ssize_t number) {
    const Attribute *attribute = &plan->attributes[number];
    size_t size = work->row.size;
    if (work->is_seen[number]) return NOT_SURE;
    skip_space(reader);
    const Reader value = *reader;
    Outcome outcome = attribute->is_simple ? read_simple(plan, work, reader, number) : read_known(plan, work, reader, number, TOLD);
    if (outcome == NOT_SURE && attribute->opens < 0 && attribute->use_count > 0) {
        for (Py_ssize_t use = 0; use < attribute->use_count; use++) work->made[attribute->uses[use]].is_left = true;
        work->row.size = size;
        *reader = value;
        outcome = skip_value(reader);
    }
    work->texts[number] = (Text){value.at, (size_t)(reader->at - value.at)};
    return outcome;
}

/* The members of the item, or of a map inside it. Of a name that comes twice the last one counts, which is for Python to see to. */
static Outcome read_members(const Plan *plan, Work *work, Reader *reader, Py_ssize_t map, Fate fate) {
    Text name;
    TRY(expect(reader, '{'));
    if (take(reader, '}')) return DONE;
    do {
        TRY(read_name(reader, &name));
        TRY(expect(reader, ':'));
        Py_ssize_t number = find_attribute(plan, map, name);
        if (number >= 0 && work->is_lenient) TRY(read_or_leave(plan, work, reader, number));
        else if (number >= 0 && plan->attributes[number].is_simple) TRY(read_simple(plan, work, reader, number));
        else TRY(number < 0 ? read_unknown(work, reader, map, name, fate) : read_known(plan, work, reader, number, fate));
    } while (take(reader, ','));
    return expect(reader, '}');
}

/* The elements of a list inside the item; of those that no column takes it is told that there are some. */
static Outcome read_elements(const Plan *plan, Work *work, Reader *reader, Py_ssize_t list, Fate fate) {
    TRY(expect(reader, '['));
    if (take(reader, ']')) return DONE;
    for (Py_ssize_t index = 0;; index++) {
        char digits[24];
        Text name = {(const unsigned char *)digits, (size_t)PyOS_snprintf(digits, sizeof digits, "%zd", index)};
        Py_ssize_t number = find_attribute(plan, list, name);
        if (number >= 0 && work->is_lenient) TRY(read_or_leave(plan, work, reader, number));
        else TRY(number < 0 ? read_unknown(work, reader, list, (Text){0}, fate) : read_known(plan, work, reader, number, fate));
        if (!take(reader, ',')) return expect(reader, ']');
    }
}

static Outcome read_inside(const Plan *plan, Work *work, Reader *reader, const Attribute *opened, Fate fate) {
    return opened->is_list ? read_elements(plan, work, reader, opened->opens, fate) : read_members(plan, work, reader, opened->opens, fate);
}

static Outcome read_line(const Plan *plan, Work *work, Reader reader) {
    Text name;
    TRY(expect(&reader, '{'));
    TRY(read_plain(&reader, &name));
    if (!is(name, "Item")) return NOT_SURE;
    TRY(expect(&reader, ':'));
    skip_space(&reader);
    work->item.bytes = reader.at;
    if (plan->has_rest) TRY(put_byte(&work->rest, '{'));
    TRY(read_members(plan, work, &reader, 0, plan->has_rest ? IN_REST : plan->has_item ? WITHIN : TOLD));
    work->item.size = (size_t)(reader.at - work->item.bytes);
    if (plan->has_rest) TRY(put_byte(&work->rest, '}'));
    TRY(expect(&reader, '}'));
    skip_space(&reader);
    return reader.at == reader.end ? DONE : NOT_SURE;
}

/* -- the row --------------------------------------------------------------------------------------------------------------------------- */

static Text whole_of(const Work *work, const Source *source) {
    return source->kind == FROM_ITEM ? work->item : (Text){work->rest.bytes, work->rest.size};
}

static PyObject *bytes_or_none(Text text) {
    return text.bytes ? PyBytes_FromStringAndSize((const char *)text.bytes, (Py_ssize_t)text.size) : Py_NewRef(Py_None);
}

/* The item, or its rest, as an attribute value. */
static PyObject *bytes_of_map(Text content) {
    static const char BEGIN[] = "{\"M\":";
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(content.size + sizeof BEGIN));
    if (value == NULL) return NULL;
    char *at = PyBytes_AS_STRING(value);
    memcpy(at, BEGIN, sizeof BEGIN - 1);
    memcpy(at + sizeof BEGIN - 1, content.bytes, content.size);
    at[sizeof BEGIN - 1 + content.size] = '}';
    return value;
}

static PyObject *values_of(const Work *work, const Source *source) {
    bool is_whole = source->kind == FROM_ITEM || source->kind == FROM_REST;
    Py_ssize_t count = is_whole ? 1 : PyTuple_GET_SIZE(source->attributes);
    PyObject *values = PyTuple_New(count);
    for (Py_ssize_t index = 0; values != NULL && index < count; index++) {
        PyObject *value = is_whole ? bytes_of_map(whole_of(work, source)) : bytes_or_none(work->values[source->first + index]);
        if (value == NULL) Py_CLEAR(values);
        else PyTuple_SET_ITEM(values, index, value);
    }
    return values;
}

static Outcome call_column(Work *work, const Step *step, const Source *source, PyObject *notices) {
    PyObject *values = values_of(work, source);
    PyObject *field = values ? PyObject_CallFunctionObjArgs(step->to_field, values, notices, NULL) : NULL;
    Py_XDECREF(values);
    if (field == NULL) return FAILED;
    Outcome outcome = PyBytes_CheckExact(field) ? put_field(&work->row, field) : NOT_SURE;
    Py_DECREF(field);
    return outcome;
}

/* What is made of the whole item, of its rest, or of several values. */
static Outcome make_of_whole(Work *work, const Step *step, Made *made, const Source *source) {
    if (source->kind == FROM_JOINED) {
        for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(source->attributes); index++) {
            if (work->values[source->first + index].bytes == NULL) return DONE;
        }
        work->text.size = 0;
        TRY(put_joined(&work->text, work->values + source->first, source));
        TRY(do_text_step(work, step, made, source));
    } else {
        Text whole = whole_of(work, source);
        Reader reader = {whole.bytes, whole.bytes + whole.size};
        TRY(do_step(&work->row, step, made, &reader, (Text){(const unsigned char *)"M", 1}));
    }
    made->is_made = true;
    return DONE;
}

/* What the item itself did not give: constants, missing attributes, what is made of several or of all, columns of a user's own. */
static Outcome finish_step(Work *work, const Step *step, Made *made, const Source *source, PyObject *notices) {
    Row *row = &work->row;
    if (source->is_simple && made->is_made && made->notice == NULL) return DONE;
    bool is_of_whole = source->kind == FROM_JOINED || source->kind == FROM_ITEM || source->kind == FROM_REST;
    bool is_later = step->kind == LATER_OF;
    bool is_left = !made->is_made || step->kind == CALL || is_later;
    if (is_left) made->begin = row->size;
    if (step->kind == CALL) {
        TRY(call_column(work, step, source, notices));
    } else {
        if (is_of_whole) TRY(make_of_whole(work, step, made, source));
        if (!made->is_made) {
            if (step->if_missing == Py_None) return NOT_SURE;
            TRY(put_field(row, step->if_missing));
            made->notice = step->missing_notice;
        } else if (is_later) {
            TRY(put_timestamptz(row, made->microseconds));
        }
    }
    if (is_left) made->size = row->size - made->begin;
    bool is_noted = made->notice != NULL && made->notice != Py_None;
    return is_noted && PyList_Append(notices, made->notice) ? FAILED : DONE;
}

/* The fields of a line's row, each where its column's value stood; `*size` is what they take together. */
static Outcome make_fields(const Plan *plan, Work *work, Reader reader, PyObject *notices, size_t *size) {
    *size = 0;
    TRY(read_line(plan, work, reader));
    for (Py_ssize_t index = 0; index < plan->step_count; index++) {
        TRY(finish_step(work, &plan->steps[index], &work->made[index], &plan->sources[index], notices));
        *size += work->made[index].size;
    }
    return DONE;
}

static Outcome make_row(const Plan *plan, Work *work, Reader reader, PyObject *notices, PyObject **fields) {
    size_t size;
    TRY(make_fields(plan, work, reader, notices, &size));
    *fields = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (*fields == NULL) return FAILED;
    char *at = PyBytes_AS_STRING(*fields);
    for (Py_ssize_t index = 0; index < plan->step_count; index++) {
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
        const char *bytes = unmapped->name.bytes ? (const char *)unmapped->name.bytes : "";
        PyObject *name = Py_BuildValue("ns#", unmapped->map, bytes, (Py_ssize_t)unmapped->name.size);
        if (name == NULL || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static void free_work(Work *work) {
    PyMem_Free(work->row.bytes);
    PyMem_Free(work->rest.bytes);
    PyMem_Free(work->text.bytes);
    PyMem_Free(work->values);
    PyMem_Free(work->made);
    PyMem_Free(work->is_seen);
    PyMem_Free(work->texts);
    PyMem_Free(work->unmapped);
    *work = (Work){0};
}

static bool is_whole(const Work *work) {
    return work->made != NULL && work->is_seen != NULL && work->texts != NULL && work->unmapped != NULL && work->values != NULL;
}

/* A column's own function may encode another line with this SoundRows: `spare` is in use then, and a new one is made. */
static Outcome take_work(SoundRows *self, Work *work) {
    *work = self->spare;
    self->spare = (Work){0};
    const Plan *plan = &self->plan;
    size_t steps = (size_t)plan->step_count + 1, attributes = (size_t)plan->attribute_count + 1, values = (size_t)plan->value_count + 1;
    if (work->made == NULL) {
        work->values = PyMem_New(Text, values);
        work->made = PyMem_New(Made, steps);
        work->is_seen = PyMem_New(bool, attributes);
        work->texts = PyMem_New(Text, attributes);
        work->unmapped = PyMem_New(Unmapped, MOST_UNMAPPED);
    }
    if (!is_whole(work)) {
        PyErr_NoMemory();
        return FAILED;
    }
    memset(work->made, 0, steps * sizeof(Made));
    memset(work->is_seen, 0, attributes * sizeof(bool));
    memset(work->values, 0, values * sizeof(Text));
    work->row.size = work->rest.size = work->text.size = 0;
    work->unmapped_count = 0;
    work->is_lenient = false;
    return DONE;
}

static void give_back(SoundRows *self, Work *work) {
    if (self->spare.made == NULL && is_whole(work)) self->spare = *work;
    else free_work(work);
}

/* Whether the item is for the table: `*reason` is why not, or -1. One that is not is sound as JSON, and for another table. */
static Outcome check_where(const Plan *plan, Work *work, Reader line, Py_ssize_t *reason) {
    Text name;
    Reader item = line;
    *reason = -1;
    if (plan->condition_count == 0) return DONE;
    TRY(expect(&item, '{'));
    TRY(read_plain(&item, &name));
    if (!is(name, "Item")) return NOT_SURE;
    TRY(expect(&item, ':'));
    TRY(check_condition(&plan->conditions[0], item, &work->text, reason));
    if (*reason < 0) return DONE;
    TRY(check_line(line, &work->text));
    Py_ssize_t others = plan->condition_count - 1, why_not = 0;
    for (Py_ssize_t other = 0; other < others; other++) {
        TRY(check_condition(&plan->conditions[1 + other], item, &work->text, &why_not));
        if (why_not >= 0) continue;
        Py_ssize_t answer = PyLong_AsSsize_t(PyTuple_GET_ITEM(plan->answers, 1 + other));
        if (answer >= 0) *reason = answer;
        return DONE;
    }
    return others == 0 ? DONE : NOT_SURE;
}

/* Takes out of `unseen` what this item had: after the first items that is nearly nothing, and there is nearly nothing to look at. */
static void note_seen(SoundRows *self, const bool *is_seen) {
    for (Py_ssize_t number = 0; number < self->unseen_count;) {
        Py_ssize_t attribute = self->unseen[number];
        if (!is_seen[attribute]) number++;
        else self->unseen[number] = self->unseen[--self->unseen_count];
    }
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
    Py_ssize_t reason = -1;
    Outcome outcome = take_work(self, &work);
    if (outcome == DONE) outcome = check_where(&self->plan, &work, reader, &reason);
    if (outcome == DONE && reason < 0) outcome = make_row(&self->plan, &work, reader, arguments[1], &fields);
    if (outcome == DONE && reason < 0) note_seen(self, work.is_seen);
    if (outcome == DONE && reason < 0 && work.unmapped_count > 0) {
        unmapped = unmapped_names(&work);
        if (unmapped == NULL) outcome = FAILED;
    }
    if (outcome == DONE) result = reason < 0 ? PyTuple_Pack(2, fields, unmapped) : PyLong_FromSsize_t(reason);
    else if (outcome == NOT_SURE) result = Py_NewRef(Py_None);
    Py_XDECREF(fields);
    if (unmapped != Py_None) Py_XDECREF(unmapped);
    give_back(self, &work);
    return result;
}

/* -- what many lines become ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    Py_ssize_t rows, filtered;
    Row digests; /* eight bytes a row, where there is a key */
} Tried;

/* Counts a line as a row or as one that is not for the table. Notices are made, and mean nothing. */
static Outcome try_line(SoundRows *self, Work *work, Reader line, Py_ssize_t key_fields, PyObject *notices, Tried *tried) {
    Py_ssize_t reason;
    size_t size;
    unsigned char digest[8];
    TRY(check_where(&self->plan, work, line, &reason));
    if (reason >= 0) {
        tried->filtered++;
        return DONE;
    }
    TRY(make_fields(&self->plan, work, line, notices, &size));
    if (key_fields > 0) {
        work->text.size = 0;
        for (Py_ssize_t index = 0; index < key_fields; index++) {
            const Made *made = &work->made[index];
            if (made->size > 0) TRY(put(&work->text, work->row.bytes + made->begin, made->size));
        }
        hash_key(&(Text){work->text.bytes, work->text.size}, 1, digest);
        TRY(put(&tried->digests, digest, sizeof digest));
    }
    tried->rows++;
    return DONE;
}

/* As `sound_rows.pyi` has it, into `tried`, and lines that are not sure to `left`; -1 with an exception. */
static int try_all(SoundRows *self, PyObject *lines, Py_ssize_t key_fields, PyObject *left, PyObject *notices, Tried *tried) {
    /* A column's own function may change the list. */
    for (Py_ssize_t index = 0; index < PyList_GET_SIZE(lines); index++) {
        PyObject *line = Py_NewRef(PyList_GET_ITEM(lines, index));
        Work work = {0};
        Outcome outcome = FAILED;
        if (!PyBytes_CheckExact(line)) PyErr_SetString(PyExc_TypeError, "a line is bytes");
        else outcome = take_work(self, &work);
        if (outcome == DONE) {
            const unsigned char *begin = (const unsigned char *)PyBytes_AS_STRING(line);
            outcome = try_line(self, &work, (Reader){begin, begin + PyBytes_GET_SIZE(line)}, key_fields, notices, tried);
        }
        give_back(self, &work);
        if (outcome == NOT_SURE && PyList_Append(left, line)) outcome = FAILED;
        if (outcome != FAILED && PyList_GET_SIZE(notices) > 0 && PyList_SetSlice(notices, 0, PyList_GET_SIZE(notices), NULL)) outcome = FAILED;
        Py_DECREF(line);
        if (outcome == FAILED) return -1;
    }
    return 0;
}

static PyObject *try_lines(PyObject *object, PyObject *const *arguments, Py_ssize_t count) {
    SoundRows *self = (SoundRows *)object;
    Py_ssize_t key_fields = count == 2 && PyList_CheckExact(arguments[0]) ? PyLong_AsSsize_t(arguments[1]) : -1;
    if (!self->is_ready || key_fields < 0 || key_fields > self->plan.step_count) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "try_lines takes a list of lines and how many of its columns are the key");
        return NULL;
    }
    Tried tried = {0};
    PyObject *result = NULL, *left = PyList_New(0), *notices = PyList_New(0);
    if (left != NULL && notices != NULL && !try_all(self, arguments[0], key_fields, left, notices, &tried)) {
        const char *digests = tried.digests.bytes ? (const char *)tried.digests.bytes : "";
        result = Py_BuildValue("nny#O", tried.rows, tried.filtered, digests, (Py_ssize_t)tried.digests.size, left);
    }
    Py_XDECREF(left);
    Py_XDECREF(notices);
    PyMem_Free(tried.digests.bytes);
    return result;
}

/* -- what is left of a row ------------------------------------------------------------------------------------------------------------- */

/* The line read, and each column made or left. */
static Outcome leave_columns(const Plan *plan, Work *work, Reader reader, PyObject *notices) {
    Py_ssize_t reason;
    /* What is of the whole item is sure of all of it, or of nothing. */
    if (plan->has_item || plan->has_rest) return NOT_SURE;
    /* Before any column says what is wrong, a condition may: of an attribute that it goes through, and a column may leave. */
    if (plan->condition_count > 0 && looks_inside(&plan->conditions[0])) return NOT_SURE;
    TRY(check_where(plan, work, reader, &reason));
    if (reason >= 0) return NOT_SURE;
    work->is_lenient = true;
    TRY(read_line(plan, work, reader));
    for (Py_ssize_t index = 0; index < plan->step_count; index++) {
        Made *made = &work->made[index];
        if (made->is_left) continue;
        Outcome outcome = finish_step(work, &plan->steps[index], made, &plan->sources[index], notices);
        if (outcome == FAILED) return FAILED;
        made->is_left = outcome == NOT_SURE;
    }
    return DONE;
}

/* The JSON of the values that a column takes, None where there is none. */
static PyObject *texts_of(const Work *work, const Source *source) {
    Py_ssize_t count = PyTuple_GET_SIZE(source->attributes);
    PyObject *texts = PyTuple_New(count);
    for (Py_ssize_t index = 0; texts != NULL && index < count; index++) {
        Py_ssize_t number = PyLong_AsSsize_t(PyTuple_GET_ITEM(source->attributes, index));
        PyObject *text = bytes_or_none(work->is_seen[number] ? work->texts[number] : (Text){0});
        if (text == NULL) Py_CLEAR(texts);
        else PyTuple_SET_ITEM(texts, index, text);
    }
    return texts;
}

static PyObject *left_columns(const Plan *plan, const Work *work) {
    PyObject *left = PyList_New(0);
    for (Py_ssize_t index = 0; left != NULL && index < plan->step_count; index++) {
        if (!work->made[index].is_left) continue;
        PyObject *texts = texts_of(work, &plan->sources[index]);
        PyObject *column = texts ? Py_BuildValue("nN", index, texts) : NULL;
        if (column == NULL || PyList_Append(left, column)) Py_CLEAR(left);
        Py_XDECREF(column);
    }
    return left;
}

/* The attributes of this item that no item had before. */
static PyObject *newly_seen(const SoundRows *self, const bool *is_seen) {
    PyObject *seen = PyList_New(0);
    for (Py_ssize_t index = 0; seen != NULL && index < self->unseen_count; index++) {
        if (!is_seen[self->unseen[index]]) continue;
        PyObject *number = PyLong_FromSsize_t(self->unseen[index]);
        if (number == NULL || PyList_Append(seen, number)) Py_CLEAR(seen);
        Py_XDECREF(number);
    }
    return seen;
}

static PyObject *find_left(PyObject *object, PyObject *line) {
    SoundRows *self = (SoundRows *)object;
    if (!self->is_ready || !PyBytes_CheckExact(line)) {
        PyErr_SetString(PyExc_TypeError, "find_left takes a line (bytes), of a SoundRows that was initialised");
        return NULL;
    }
    const unsigned char *begin = (const unsigned char *)PyBytes_AS_STRING(line);
    PyObject *result = NULL, *notices = PyList_New(0);
    Work work;
    Outcome outcome = take_work(self, &work);
    if (notices == NULL) outcome = FAILED;
    if (outcome == DONE) outcome = leave_columns(&self->plan, &work, (Reader){begin, begin + PyBytes_GET_SIZE(line)}, notices);
    if (outcome == NOT_SURE) result = Py_NewRef(Py_None);
    if (outcome == DONE) {
        PyObject *left = left_columns(&self->plan, &work), *unmapped = unmapped_names(&work), *seen = newly_seen(self, work.is_seen);
        if (left != NULL && unmapped != NULL && seen != NULL) result = PyTuple_Pack(3, left, unmapped, seen);
        Py_XDECREF(left);
        Py_XDECREF(unmapped);
        Py_XDECREF(seen);
    }
    Py_XDECREF(notices);
    give_back(self, &work);
    return result;
}

static void look_anew(SoundRows *self) {
    for (self->unseen_count = 0; self->unseen_count < self->plan.attribute_count; self->unseen_count++) {
        self->unseen[self->unseen_count] = self->unseen_count;
    }
}

/* The numbers of the attributes that no item had; from here on they are looked for anew. */
static PyObject *take_unseen(PyObject *object, PyObject *nothing) {
    SoundRows *self = (SoundRows *)object;
    (void)nothing;
    if (!self->is_ready) {
        PyErr_SetString(PyExc_TypeError, "this SoundRows was never initialised");
        return NULL;
    }
    PyObject *unseen = PyList_New(self->unseen_count);
    for (Py_ssize_t index = 0; unseen != NULL && index < self->unseen_count; index++) {
        PyObject *number = PyLong_FromSsize_t(self->unseen[index]);
        if (number == NULL) Py_CLEAR(unseen);
        else PyList_SET_ITEM(unseen, index, number);
    }
    if (unseen != NULL) look_anew(self);
    return unseen;
}

/* -- the Python type ------------------------------------------------------------------------------------------------------------------- */

static int initialise(PyObject *object, PyObject *arguments, PyObject *names) {
    SoundRows *self = (SoundRows *)object;
    if (self->plan.steps != NULL || (names != NULL && PyDict_GET_SIZE(names))) {
        PyErr_SetString(PyExc_TypeError, "SoundRows is made once, of positional arguments");
        return -1;
    }
    if (take_plan(&self->plan, arguments)) return -1;
    self->unseen = PyMem_New(Py_ssize_t, (size_t)self->plan.attribute_count + 1);
    if (self->unseen == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    look_anew(self);
    self->is_ready = true;
    return 0;
}

static int traverse(PyObject *object, visitproc visit, void *arg) {
    Py_VISIT(((SoundRows *)object)->plan.arguments);
    Py_VISIT(((SoundRows *)object)->plan.kept);
    return 0;
}

static int clear(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    self->is_ready = false;
    Py_CLEAR(self->plan.arguments);
    Py_CLEAR(self->plan.kept);
    return 0;
}

static void deallocate(PyObject *object) {
    SoundRows *self = (SoundRows *)object;
    PyObject_GC_UnTrack(object);
    clear(object);
    free_plan(&self->plan);
    PyMem_Free(self->unseen);
    free_work(&self->spare);
    Py_TYPE(object)->tp_free(object);
}

static PyMethodDef methods[] = {
    {"encode", (PyCFunction)(void (*)(void))encode, METH_FASTCALL, "The fields of a line's row, and the attributes that no column takes."},
    {"try_lines", (PyCFunction)(void (*)(void))try_lines, METH_FASTCALL, "What many lines become, without their rows."},
    {"find_left", find_left, METH_O, "The columns of a line's row that it is not sure of, where it is sure of the rest."},
    {"take_unseen", take_unseen, METH_NOARGS, "Which attributes no item had."},
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

static PyMethodDef functions[] = {
    {"read_change", (PyCFunction)(void (*)(void))read_change, METH_FASTCALL, "What a line of an incremental export says."},
    {"count_line_ends", count_line_ends, METH_O, "How many ends of lines a block has."},
    {"split_lines", split_lines, METH_O, "What is between the ends of lines of a block."},
    {"fields_at", (PyCFunction)(void (*)(void))fields_at, METH_FASTCALL, "Of each row some of its fields."},
    {"prove_rows", (PyCFunction)(void (*)(void))prove_rows, METH_FASTCALL, "Which rows PostgreSQL sent to the byte."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "transforms.native.sound_rows",
    .m_doc = "Rows of sound items, the quick way; see sound_rows.pyi.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit_sound_rows(void) {
    prepare_looks();
    if (PyType_Ready(&SoundRowsType) || PyType_Ready(&SoundStatisticsType)) return NULL;
    PyObject *made = PyModule_Create(&module);
    if (made == NULL) return NULL;
    bool is_filled = !PyModule_AddStringConstant(made, "SOURCES", SOURCES) && !PyModule_AddObjectRef(made, "SoundRows", (PyObject *)&SoundRowsType) &&
                     !PyModule_AddObjectRef(made, "SoundStatistics", (PyObject *)&SoundStatisticsType);
    if (!is_filled) {
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
