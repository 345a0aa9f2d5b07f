"""Reading a DynamoDB export: its manifests, its data files, and their parts."""
