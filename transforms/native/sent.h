/* Rows that PostgreSQL sends, against rows that are sent to it. */

#pragma once
#include "reader.h"

/* Of each row some fields; see sound_rows.pyi for both. */
PyObject *fields_at(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* The items whose rows are equal to the byte. */
PyObject *prove_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
