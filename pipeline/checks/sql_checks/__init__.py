"""`sql/validate_migration.sql`: the rows of the export that it looks for, and what it found."""
