"""What is done with a table's stream after the last window: its records are applied as they come, each item's in their order."""
