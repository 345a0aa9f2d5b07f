"""The switch of an application to PostgreSQL: whether all is ready, and the proof that nothing is left in DynamoDB."""
