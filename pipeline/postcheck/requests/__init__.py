"""validate --requests: requests of the application, from a file, that must be answered as the file says when the rows are there."""
