/* The plan of a table's rows, taken from the tuples that `plan.py` makes: each is checked, because who uses the plan looks at nothing again. */

#include "plan.h"

static bool is_tuple_of_bytes(PyObject *object) {
    if (!PyTuple_CheckExact(object)) return false;
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(object); index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(object, index))) return false;
    }
    return true;
}

static int take_step(PyObject *tuple, Step *step, bool needs_attribute, const Plan *plan) {
    if (take_step_fields(tuple, step)) return -1;
    bool is_sound = step->attribute >= (needs_attribute ? 0 : -1) && step->attribute < plan->attribute_count;
    if (step->kind == CONSTANT) is_sound = step->if_missing != Py_None && step->attribute == -1;
    if (step->kind == LATER_OF) is_sound = is_sound && step->other >= 0;
    else is_sound = is_sound && step->other == -1;
    is_sound = is_sound && step->other >= -1 && step->other < plan->attribute_count;
    if (is_sound) return 0;
    free_step(step);
    PyErr_SetString(PyExc_ValueError, "no such step");
    return -1;
}

/* That a step takes its own attributes, as they are. What it gives is kept. */
static PyObject *own_source(const Step *step, Plan *plan) {
    PyObject *attributes;
    if (step->attribute < 0) attributes = PyTuple_New(0);
    else if (step->other < 0) attributes = Py_BuildValue("(n)", step->attribute);
    else attributes = Py_BuildValue("(nn)", step->attribute, step->other);
    PyObject *source = attributes ? Py_BuildValue("(sN()ni)", "FROM_VALUE", attributes, (Py_ssize_t)0, 0) : NULL;
    if (source == NULL || PyList_Append(plan->kept, source)) {
        Py_XDECREF(source);
        return NULL;
    }
    Py_DECREF(source);
    return source;
}

/* What a step takes. */
static int take_source(PyObject *tuple, Source *source, const Step *step, Plan *plan) {
    const char *kind;
    int known = 0;
    if (!PyArg_ParseTuple(tuple, "sO!O!ni:source", &kind, &PyTuple_Type, &source->attributes, &PyTuple_Type, &source->texts, &source->part,
                          &source->clean)) return -1;
    while (known < SOURCES_KNOWN && strcmp(SOURCE_NAMES[known], kind) != 0) known++;
    source->kind = (SourceKind)known;
    source->first = plan->value_count;
    Py_ssize_t count = PyTuple_GET_SIZE(source->attributes), texts = PyTuple_GET_SIZE(source->texts);
    bool is_sound = known < SOURCES_KNOWN && source->clean >= 0 && source->clean <= CLEAN_ALL && is_tuple_of_bytes(source->texts);
    for (Py_ssize_t index = 0; is_sound && index < count; index++) {
        PyObject *number = PyTuple_GET_ITEM(source->attributes, index);
        is_sound = PyLong_CheckExact(number) && PyLong_AsSsize_t(number) >= 0 && PyLong_AsSsize_t(number) < plan->attribute_count;
    }
    if (known == FROM_PART) is_sound = is_sound && texts >= 2 && source->part >= 0 && source->part < texts - 1 && count == 1;
    if (known == FROM_JOINED) is_sound = is_sound && texts == 1 && count > 0;
    if (!is_sound) {
        PyErr_Clear();
        PyErr_SetString(PyExc_ValueError, "no such source");
        return -1;
    }
    source->is_simple = known == FROM_VALUE && source->clean == 0 && step->kind != CALL && step->kind != LATER_OF;
    source->keeps_values = known == FROM_JOINED || step->kind == CALL;
    plan->value_count += count;
    plan->has_item = plan->has_item || known == FROM_ITEM;
    plan->has_rest = plan->has_rest || known == FROM_REST;
    return 0;
}

static int take_attribute(PyObject *tuple, Attribute *attribute, const Plan *plan) {
    Py_ssize_t size;
    const char *name;
    attribute->is_taken = 1;
    if (!PyArg_ParseTuple(tuple, "ns#n|pp:attribute", &attribute->map, &name, &size, &attribute->opens, &attribute->is_taken, &attribute->is_list)) return -1;
    attribute->name = (Text){(const unsigned char *)name, (size_t)size};
    if (attribute->map >= 0 && attribute->map < plan->map_count && attribute->opens >= -1 && attribute->opens < plan->map_count) return 0;
    PyErr_SetString(PyExc_ValueError, "no such map");
    return -1;
}

static bool has_use(const Source *source, Py_ssize_t number) {
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(source->attributes); index++) {
        if (PyLong_AsSsize_t(PyTuple_GET_ITEM(source->attributes, index)) == number) return true;
    }
    return false;
}

/* What is looked up for every line: attributes by their names, steps by their attributes. */
static void prepare(Plan *plan) {
    Py_ssize_t *use = plan->uses;
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) plan->buckets[bucket] = -1;
    for (Py_ssize_t number = 0; number < plan->attribute_count; number++) {
        Attribute *attribute = &plan->attributes[number];
        Py_ssize_t *bucket = &plan->buckets[bucket_of(attribute->name)];
        attribute->next = *bucket;
        *bucket = number;
        attribute->uses = use;
        for (Py_ssize_t index = 0; index < plan->step_count; index++) {
            if (!has_use(&plan->sources[index], number)) continue;
            *use++ = index;
            attribute->is_kept = attribute->is_kept || plan->sources[index].keeps_values;
        }
        attribute->use_count = use - attribute->uses;
        attribute->is_simple = attribute->use_count == 1 && attribute->opens < 0 && attribute->is_taken && plan->sources[attribute->uses[0]].is_simple;
    }
}

static int take_steps(Plan *plan, PyObject *steps, PyObject *sources) {
    bool has_sources = sources != NULL && PyTuple_GET_SIZE(sources) > 0;
    if (has_sources && PyTuple_GET_SIZE(sources) != PyTuple_GET_SIZE(steps)) {
        PyErr_SetString(PyExc_ValueError, "each step has a source");
        return -1;
    }
    for (; plan->step_count < PyTuple_GET_SIZE(steps); plan->step_count++) {
        Step *step = &plan->steps[plan->step_count];
        if (take_step(PyTuple_GET_ITEM(steps, plan->step_count), step, !has_sources, plan)) return -1;
        PyObject *source = has_sources ? PyTuple_GET_ITEM(sources, plan->step_count) : own_source(step, plan);
        if (source == NULL || take_source(source, &plan->sources[plan->step_count], step, plan)) {
            free_step(step);
            return -1;
        }
    }
    return 0;
}

/* Numbers, or nothing where there are no conditions. */
static bool are_answers(PyObject *answers, Py_ssize_t count) {
    if (count == 0) return true;
    if (answers == NULL || PyTuple_GET_SIZE(answers) != count) return false;
    for (Py_ssize_t index = 0; index < count; index++) {
        if (!PyLong_CheckExact(PyTuple_GET_ITEM(answers, index))) return false;
    }
    return true;
}

int take_plan(Plan *plan, PyObject *arguments) {
    PyObject *attributes, *steps, *sources = NULL, *conditions = NULL, *answers = NULL;
    if (!PyArg_ParseTuple(arguments, "nO!O!|O!O!O!:SoundRows", &plan->map_count, &PyTuple_Type, &attributes, &PyTuple_Type, &steps,
                          &PyTuple_Type, &sources, &PyTuple_Type, &conditions, &PyTuple_Type, &answers)) return -1;
    size_t count = (size_t)PyTuple_GET_SIZE(steps) + 1, condition_count = conditions ? (size_t)PyTuple_GET_SIZE(conditions) : 0;
    plan->arguments = Py_NewRef(arguments);
    plan->kept = PyList_New(0);
    plan->attributes = PyMem_New(Attribute, (size_t)PyTuple_GET_SIZE(attributes) + 1);
    plan->steps = PyMem_New(Step, count);
    plan->sources = PyMem_New(Source, count);
    plan->conditions = PyMem_New(Condition, condition_count + 1);
    if (plan->kept == NULL || plan->attributes == NULL || plan->steps == NULL || plan->sources == NULL || plan->conditions == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(plan->attributes, 0, ((size_t)PyTuple_GET_SIZE(attributes) + 1) * sizeof(Attribute));
    memset(plan->sources, 0, count * sizeof(Source));
    memset(plan->conditions, 0, (condition_count + 1) * sizeof(Condition));
    for (; plan->attribute_count < PyTuple_GET_SIZE(attributes); plan->attribute_count++) {
        if (take_attribute(PyTuple_GET_ITEM(attributes, plan->attribute_count), &plan->attributes[plan->attribute_count], plan)) return -1;
    }
    if (take_steps(plan, steps, sources)) return -1;
    plan->answers = answers;
    if (!are_answers(answers, (Py_ssize_t)condition_count)) {
        PyErr_SetString(PyExc_ValueError, "each condition has an answer");
        return -1;
    }
    while ((size_t)plan->condition_count < condition_count) {
        Condition *condition = &plan->conditions[plan->condition_count];
        if (take_condition(PyTuple_GET_ITEM(conditions, plan->condition_count++), condition)) return -1;
    }
    plan->uses = PyMem_New(Py_ssize_t, (size_t)plan->value_count + 1);
    if (plan->uses == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    prepare(plan);
    return 0;
}

void free_plan(Plan *plan) {
    for (Py_ssize_t index = 0; index < plan->condition_count; index++) free_condition(&plan->conditions[index]);
    PyMem_Free(plan->conditions);
    PyMem_Free(plan->sources);
    for (Py_ssize_t index = 0; index < plan->step_count; index++) free_step(&plan->steps[index]);
    PyMem_Free(plan->steps);
    PyMem_Free(plan->attributes);
    PyMem_Free(plan->uses);
}
