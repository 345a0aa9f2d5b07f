"""What is written about items that did not become rows (dead letters), and about some that did (notices)."""
