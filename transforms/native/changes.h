/* A line of an incremental export, taken apart. */

#pragma once
#include "reader.h"

/* The Python function `read_change`; see sound_rows.pyi. */
PyObject *read_change(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
