"""What is done with a window: its changes are applied after those before it, what waits for others is settled, and it is proved."""
