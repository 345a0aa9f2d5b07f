/* What is in the items of many lines, counted: `pipeline/inspection/statistics.py` in short. */

#pragma once
#include "row.h"

/* The Python type `SoundStatistics`; see sound_rows.pyi. */
extern PyTypeObject SoundStatisticsType;
