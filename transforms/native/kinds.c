#include "kinds.h"

#define SEPARATOR '#'
#define MOST_LITERAL 40
/* Digits of what looks like data. */
#define MANY_DIGITS 5

/* -- kinds ---------------------------------------------------------------------------------------------------------------------------- */

/* Whether a text may be one that a program has written in it, such as ORDER: what `is_literal` says. */
static bool is_literal(Text text) {
    Look look;
    int digits = 0;
    if (text.size == 0 || text.size > MOST_LITERAL) return false;
    for (size_t at = 0; at < text.size; at++) {
        unsigned char byte = text.bytes[at];
        bool is_digit = byte >= '0' && byte <= '9', is_letter = ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || byte == '_';
        if (!is_letter && (at == 0 || !(is_digit || byte == '.' || byte == '-'))) return false;
        digits += is_digit;
    }
    /* Of the letters that are left. */
    return digits < MANY_DIGITS && look_at(text, &look) == DONE && look.shape != A_UUID && look.shape != HEX;
}

/* Of a key: its beginning with the separator, or all of it where that is literal; empty where there is none such. */
static Text prefix_of(Text text) {
    const unsigned char *separator = text.size == 0 ? NULL : memchr(text.bytes, SEPARATOR, text.size);
    const Text head = {text.bytes, separator ? (size_t)(separator - text.bytes) : text.size};
    if (!is_literal(head)) return (Text){0};
    return (Text){head.bytes, head.size + (separator != NULL)};
}

Outcome put_kind(Row *name, const Text *texts, size_t count, bool is_by_prefix) {
    bool is_any = false;
    name->size = 0;
    if (!is_by_prefix) return is_literal(texts[0]) ? put(name, texts[0].bytes, texts[0].size) : make_room(name, 1);
    for (size_t index = 0; index < count; index++) {
        const Text prefix = prefix_of(texts[index]);
        if (index > 0) TRY(put_byte(name, '|'));
        if (prefix.size > 0) TRY(put(name, prefix.bytes, prefix.size));
        is_any = is_any || prefix.size > 0;
    }
    if (!is_any) name->size = 0;
    return make_room(name, 1);
}

/* -- what is looked for --------------------------------------------------------------------------------------------------------------- */

static Text literal_at(const Pattern *pattern, size_t index) {
    PyObject *literal = PyTuple_GET_ITEM(pattern->literals, (Py_ssize_t)index);
    return (Text){(const unsigned char *)PyBytes_AS_STRING(literal), (size_t)PyBytes_GET_SIZE(literal)};
}

static int no_such_pattern(void) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no such pattern");
    return -1;
}

/* Parts have no separator in them, so each ends where one comes, if the literals begin with one: then there is one way to take a string apart. */
static bool are_literals(const Pattern *pattern) {
    for (size_t index = 0; index <= pattern->part_count; index++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(pattern->literals, (Py_ssize_t)index))) return false;
        const Text literal = literal_at(pattern, index);
        bool is_end = literal.size == 0 && index == pattern->part_count;
        if (index > 0 && !is_end && (literal.size == 0 || literal.bytes[0] != SEPARATOR)) return false;
    }
    return true;
}

static int take_pattern(PyObject *described, Py_ssize_t watched, Pattern *pattern) {
    if (!PyTuple_Check(described) || !PyArg_ParseTuple(described, "nO!:pattern", &pattern->watched, &PyTuple_Type, &pattern->literals)) return no_such_pattern();
    Py_ssize_t parts = PyTuple_GET_SIZE(pattern->literals) - 1;
    if (parts < 1 || parts > MOST_PARTS || pattern->watched < 0 || pattern->watched >= watched) return no_such_pattern();
    pattern->part_count = (size_t)parts;
    if (!are_literals(pattern)) return no_such_pattern();
    pattern->figures = PyMem_Calloc(pattern->part_count, sizeof(Figures));
    return pattern->figures == NULL ? (PyErr_NoMemory(), -1) : 0;
}

static bool is_slot(const KindPlan *plan, Slot slot, Py_ssize_t watched) {
    if (slot.watched < 0 || slot.watched >= watched) return false;
    if (slot.part < 0) return slot.part == -1;
    for (size_t index = 0; index < plan->pattern_count; index++) {
        if (plan->patterns[index].watched == slot.watched) return (size_t)slot.part < plan->patterns[index].part_count;
    }
    return false;
}

static int take_repeat(PyObject *described, Py_ssize_t watched, const KindPlan *plan, Repeat *repeat) {
    Slot *slot = &repeat->slot, *source = &repeat->source;
    if (!PyTuple_Check(described)) return no_such_pattern();
    if (!PyArg_ParseTuple(described, "(nn)(nn):repeat", &slot->watched, &slot->part, &source->watched, &source->part)) return no_such_pattern();
    return is_slot(plan, *slot, watched) && is_slot(plan, *source, watched) ? 0 : no_such_pattern();
}

int take_kind_plan(PyObject *described, Py_ssize_t watched, KindPlan *plan) {
    PyObject *patterns, *repeats;
    *plan = (KindPlan){0};
    if (described == NULL) return 0;
    if (!PyTuple_Check(described) || !PyArg_ParseTuple(described, "O!O!:plan", &PyTuple_Type, &patterns, &PyTuple_Type, &repeats)) return no_such_pattern();
    plan->patterns = PyMem_Calloc((size_t)PyTuple_GET_SIZE(patterns) + 1, sizeof(Pattern));
    plan->repeats = PyMem_Calloc((size_t)PyTuple_GET_SIZE(repeats) + 1, sizeof(Repeat));
    if (plan->patterns == NULL || plan->repeats == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(patterns); index++) {
        if (take_pattern(PyTuple_GET_ITEM(patterns, index), watched, &plan->patterns[plan->pattern_count])) return -1;
        plan->pattern_count++;
    }
    for (Py_ssize_t index = 0; index < PyTuple_GET_SIZE(repeats); index++) {
        if (take_repeat(PyTuple_GET_ITEM(repeats, index), watched, plan, &plan->repeats[plan->repeat_count])) return -1;
        plan->repeat_count++;
    }
    return 0;
}

static void forget_pattern(Pattern *pattern) {
    for (size_t part = 0; part < pattern->part_count; part++) {
        if (pattern->figures != NULL) PyMem_Free(pattern->figures[part].texts);
    }
}

void free_kind_plan(KindPlan *plan) {
    for (size_t index = 0; index < plan->pattern_count; index++) {
        forget_pattern(&plan->patterns[index]);
        PyMem_Free(plan->patterns[index].figures);
    }
    PyMem_Free(plan->patterns);
    PyMem_Free(plan->repeats);
    *plan = (KindPlan){0};
}

/* -- a line --------------------------------------------------------------------------------------------------------------------------- */

static bool take_literal(Text *left, Text literal) {
    if (left->size < literal.size || (literal.size > 0 && memcmp(left->bytes, literal.bytes, literal.size) != 0)) return false;
    left->bytes += literal.size;
    left->size -= literal.size;
    return true;
}

static bool split(Pattern *pattern, Text left) {
    if (!take_literal(&left, literal_at(pattern, 0))) return false;
    for (size_t part = 0; part < pattern->part_count; part++) {
        const unsigned char *separator = left.size == 0 ? NULL : memchr(left.bytes, SEPARATOR, left.size);
        const size_t size = separator ? (size_t)(separator - left.bytes) : left.size;
        if (size == 0) return false;
        pattern->texts[part] = (Text){left.bytes, size};
        left.bytes += size;
        left.size -= size;
        if (!take_literal(&left, literal_at(pattern, part + 1))) return false;
    }
    return left.size == 0;
}

Outcome look_at_parts(KindPlan *plan, const Watched *watched) {
    for (size_t index = 0; index < plan->pattern_count; index++) {
        Pattern *pattern = &plan->patterns[index];
        const Watched *string = &watched[pattern->watched];
        pattern->is_split = string->tag == 'S' && split(pattern, string->text);
        for (size_t part = 0; pattern->is_split && part < pattern->part_count; part++) TRY(look_at(pattern->texts[part], &pattern->looks[part]));
    }
    return DONE;
}

/* What a slot says; false where the line has none. */
static bool find_text(const KindPlan *plan, const Watched *watched, Slot slot, Text *text) {
    if (slot.part < 0) {
        *text = watched[slot.watched].text;
        return watched[slot.watched].tag == 'S' || watched[slot.watched].tag == 'N';
    }
    for (size_t index = 0; index < plan->pattern_count; index++) {
        const Pattern *pattern = &plan->patterns[index];
        if (pattern->watched != slot.watched || !pattern->is_split) continue;
        *text = pattern->texts[slot.part];
        return true;
    }
    return false;
}

Outcome count_parts(KindPlan *plan, const Watched *watched, bool has_evidence) {
    for (size_t index = 0; index < plan->pattern_count; index++) {
        Pattern *pattern = &plan->patterns[index];
        if (watched[pattern->watched].tag != 'S') continue;
        if (pattern->is_split) pattern->alike++;
        else pattern->unlike++;
        for (size_t part = 0; pattern->is_split && part < pattern->part_count; part++) {
            TRY(count_string(&pattern->figures[part], pattern->texts[part], &pattern->looks[part], has_evidence));
        }
    }
    for (size_t index = 0; index < plan->repeat_count; index++) {
        Repeat *repeat = &plan->repeats[index];
        Text text, other;
        if (!find_text(plan, watched, repeat->slot, &text)) continue;
        bool is_alike = find_text(plan, watched, repeat->source, &other) && text.size == other.size;
        if (is_alike && (text.size == 0 || memcmp(text.bytes, other.bytes, text.size) == 0)) repeat->alike++;
        else repeat->unlike++;
    }
    return DONE;
}

/* -- what was counted ------------------------------------------------------------------------------------------------------------------ */

static PyObject *take_pattern_counts(Pattern *pattern) {
    PyObject *parts = PyList_New(0);
    for (size_t part = 0; parts != NULL && part < pattern->part_count; part++) {
        if (!append(parts, figures_of(&pattern->figures[part]))) Py_CLEAR(parts);
    }
    if (parts == NULL) return NULL;
    PyObject *made = Py_BuildValue("KKN", (unsigned long long)pattern->alike, (unsigned long long)pattern->unlike, parts);
    forget_pattern(pattern);
    memset(pattern->figures, 0, pattern->part_count * sizeof(Figures));
    pattern->alike = pattern->unlike = 0;
    return made;
}

PyObject *take_parts(KindPlan *plan) {
    PyObject *patterns = PyList_New(0), *repeats = PyList_New(0);
    bool is_filled = patterns != NULL && repeats != NULL;
    for (size_t index = 0; is_filled && index < plan->pattern_count; index++) is_filled = append(patterns, take_pattern_counts(&plan->patterns[index]));
    for (size_t index = 0; is_filled && index < plan->repeat_count; index++) {
        Repeat *repeat = &plan->repeats[index];
        is_filled = append(repeats, Py_BuildValue("KK", (unsigned long long)repeat->alike, (unsigned long long)repeat->unlike));
        repeat->alike = repeat->unlike = 0;
    }
    PyObject *made = is_filled ? PyTuple_Pack(2, patterns, repeats) : NULL;
    Py_XDECREF(patterns);
    Py_XDECREF(repeats);
    return made;
}
