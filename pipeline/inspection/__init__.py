"""The content of an export, shown without any value of an item: the statistics behind `ddb2pg inspect`."""
