"""Definitions of tables, a file a customer."""
