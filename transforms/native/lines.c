/* The lines of a block of a data file. Python's own `count` and `split` look at one byte after the other. */

#include "lines.h"

static bool is_block(PyObject *block) {
    if (PyBytes_CheckExact(block)) return true;
    PyErr_SetString(PyExc_TypeError, "a block is bytes");
    return false;
}

PyObject *count_line_ends(PyObject *module, PyObject *block) {
    if (!is_block(block)) return NULL;
    const char *bytes = PyBytes_AS_STRING(block);
    Py_ssize_t size = PyBytes_GET_SIZE(block), count = 0;
    for (Py_ssize_t at = 0; at < size; at++) count += bytes[at] == '\n';
    return PyLong_FromSsize_t(count);
}

PyObject *split_lines(PyObject *module, PyObject *block) {
    if (!is_block(block)) return NULL;
    const char *at = PyBytes_AS_STRING(block), *end = at + PyBytes_GET_SIZE(block);
    PyObject *lines = PyList_New(0);
    while (lines != NULL) {
        const char *found = memchr(at, '\n', (size_t)(end - at));
        PyObject *line = PyBytes_FromStringAndSize(at, (found ? found : end) - at);
        if (line == NULL || PyList_Append(lines, line)) Py_CLEAR(lines);
        Py_XDECREF(line);
        if (found == NULL) break;
        at = found + 1;
    }
    return lines;
}
