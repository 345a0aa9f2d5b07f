"""The records of a run's folder, read again: counted by code and attribute, and packed for the page."""
