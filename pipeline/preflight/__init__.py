"""Preflight: what must hold, and what is worth knowing, before anything is written. All of it at once, each with what to do."""
