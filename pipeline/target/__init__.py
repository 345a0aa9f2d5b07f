"""Everything that speaks to PostgreSQL. psycopg2 is imported here and nowhere else."""
