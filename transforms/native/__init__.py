"""The compiled way to the rows of sound items; `plan.py` says what it is told of a definition."""
