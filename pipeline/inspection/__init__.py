"""What is in an export, told without any value of an item: the statistics behind `ddb2pg inspect`."""
