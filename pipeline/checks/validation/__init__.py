"""validate: every item of an export against its row, and every row against the items."""
