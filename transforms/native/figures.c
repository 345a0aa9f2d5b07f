#include "figures.h"

#define COUNT_NAME(member, group, key) {group, key},
#define SHAPE_NAME(member, text) {"shapes", text},
#define EXTENT_NAME(member, name) name,
static const struct {
    const char *group, *key;
} COUNT_NAMES[COUNTS] = {EACH_COUNT(COUNT_NAME) EACH_SHAPE(SHAPE_NAME)};
static const char *const EXTENT_NAMES[EXTENTS] = {EACH_EXTENT(EXTENT_NAME)};

Outcome no_memory(void) {
    PyErr_NoMemory();
    return FAILED;
}

void free_figures(Figures *figures) {
    if (figures != NULL) PyMem_Free(figures->texts);
    PyMem_Free(figures);
}

/* -- counting -------------------------------------------------------------------------------------------------------------------------- */

static void give_up_texts(Figures *figures) {
    figures->has_many_texts = true;
    figures->text_count = 0;
    PyMem_Free(figures->texts);
    figures->texts = NULL;
}

static Outcome count_text(Figures *figures, Text text, size_t characters) {
    if (figures->has_many_texts) return DONE;
    for (size_t index = 0; index < figures->text_count; index++) {
        Known *known = &figures->texts[index];
        if (known->size != text.size || memcmp(known->bytes, text.bytes, text.size) != 0) continue;
        known->count++;
        return DONE;
    }
    if (characters > MOST_CHARACTERS || figures->text_count == MOST_TEXTS) {
        give_up_texts(figures);
        return DONE;
    }
    if (figures->texts == NULL) figures->texts = PyMem_New(Known, MOST_TEXTS);
    if (figures->texts == NULL) return no_memory();
    Known *known = &figures->texts[figures->text_count++];
    known->count = 1;
    known->size = text.size;
    memcpy(known->bytes, text.bytes, text.size);
    return DONE;
}

Outcome count_string(Figures *figures, Text text, const Look *look, bool has_evidence) {
    figures->counts[OTHER_COUNTS + look->shape]++;
    measure(&figures->extents[CHARACTERS], (int64_t)look->characters);
    measure(&figures->extents[UTF8_BYTES], (int64_t)text.size);
    if (!has_evidence) return DONE;
    if (look->form != NO_FORM) figures->counts[OF_DATES + look->form - FORM_DATE]++;
    figures->counts[OF_OUT_OF_BOUNDS] += look->is_out_of_bounds;
    if (look->digits != NO_NUMBER) figures->counts[OF_INTEGERS + look->digits - JSON_INTEGER]++;
    return count_text(figures, text, look->characters);
}

void count_number(Figures *figures, const Number *number) {
    uint64_t *counts = figures->counts;
    counts[OF_VALID]++;
    measure(&figures->extents[BEFORE_POINT], number->before);
    measure(&figures->extents[SIGNIFICANT], number->significant);
    measure_number(&figures->numbers, number);
    if (number->unit > 0) counts[OF_SECONDS + number->unit - 1]++;
    if (number->is_plain) return;
    counts[OF_NON_CANONICAL] += !number->is_canonical;
    counts[OF_ZEROS] += number->significant == 0;
    counts[OF_NEGATIVE] += number->significant > 0 && number->decimal.is_negative;
    counts[OF_FRACTIONAL] += number->after > 0;
    measure(&figures->extents[AFTER_POINT], number->after);
}

/* -- what was counted ------------------------------------------------------------------------------------------------------------------ */

bool append(PyObject *list, PyObject *made) {
    bool is_added = made != NULL && PyList_Append(list, made) == 0;
    Py_XDECREF(made);
    return is_added;
}

bool append_extent(PyObject *list, const char *name, const Extent *extent) {
    if (!extent->is_known) return true;
    return append(list, Py_BuildValue("sL", name, (long long)extent->least)) && append(list, Py_BuildValue("sL", name, (long long)extent->greatest));
}

/* -123E-2 */
static bool append_decimal(PyObject *list, const char *name, const Decimal *decimal) {
    char digits[MOST_DIGITS + 1] = {0};
    for (int index = 0; index < decimal->count; index++) digits[index] = (char)('0' + decimal->digits[index]);
    PyObject *text = PyUnicode_FromFormat("%s%sE%d", decimal->is_negative ? "-" : "", digits, decimal->exponent);
    return append(list, text == NULL ? NULL : Py_BuildValue("sN", name, text));
}

static bool append_extremes(PyObject *list, const char *name, const Extremes *extremes) {
    const Extent whole = {extremes->has_whole, extremes->least, extremes->greatest};
    if (!append_extent(list, name, &whole)) return false;
    if (!extremes->has_decimal) return true;
    return append_decimal(list, name, &extremes->least_decimal) && append_decimal(list, name, &extremes->greatest_decimal);
}

static bool fill_figures(const Figures *figures, PyObject *counts, PyObject *sizes, PyObject *texts) {
    for (size_t index = 0; index < COUNTS; index++) {
        if (figures->counts[index] == 0) continue;
        if (!append(counts, Py_BuildValue("ssK", COUNT_NAMES[index].group, COUNT_NAMES[index].key, (unsigned long long)figures->counts[index]))) return false;
    }
    for (size_t index = 0; index < EXTENTS; index++) {
        if (!append_extent(sizes, EXTENT_NAMES[index], &figures->extents[index])) return false;
    }
    for (size_t index = 0; index < figures->text_count; index++) {
        const Known *known = &figures->texts[index];
        if (!append(texts, Py_BuildValue("s#K", (const char *)known->bytes, (Py_ssize_t)known->size, (unsigned long long)known->count))) return false;
    }
    return append_extremes(sizes, "number", &figures->numbers) && append_extremes(sizes, "integer_of_sets", &figures->integers_of_sets);
}

PyObject *figures_of(const Figures *figures) {
    if (figures == NULL) return Py_NewRef(Py_None);
    PyObject *counts = PyList_New(0), *sizes = PyList_New(0), *texts = PyList_New(0), *made = NULL;
    if (counts != NULL && sizes != NULL && texts != NULL && fill_figures(figures, counts, sizes, texts)) {
        made = PyTuple_Pack(4, counts, sizes, texts, figures->has_many_texts ? Py_True : Py_False);
    }
    Py_XDECREF(counts);
    Py_XDECREF(sizes);
    Py_XDECREF(texts);
    return made;
}
