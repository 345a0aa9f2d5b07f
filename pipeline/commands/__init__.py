"""The commands: what each runs."""
