"""The compiled conversion of sound items; `plan.py` makes its input from a definition."""
