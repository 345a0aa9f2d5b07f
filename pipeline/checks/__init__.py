"""What is checked before a load, and after it."""
