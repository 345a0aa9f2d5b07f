#pragma once
#include "reader.h"

/* The Python functions of the same names; see sound_rows.pyi. */
PyObject *count_line_ends(PyObject *module, PyObject *block);
PyObject *split_lines(PyObject *module, PyObject *block);
