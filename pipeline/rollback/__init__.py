"""The rollback of loads: their chunks are visited and taken back."""
