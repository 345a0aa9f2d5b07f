"""Which tables are moved, and what is wrong with a definition of them."""
