"""Dead letters that are brought in again: a load whose lines come from their files."""
