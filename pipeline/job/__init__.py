"""What is done with a load: found or begun, its chunks visited, its equation held."""
