"""What is asked after a load: the SQL checks, and requests of the application."""
