/* Rows as PostgreSQL sends them, made of rows as they are sent to it. */

#pragma once
#include "reader.h"

/* The same row, or None: not sure. */
PyObject *row_as_sent(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
