"""From a DynamoDB item to a PostgreSQL row, as pure functions: no Beam, no database, no clock, no I/O, no logging."""
