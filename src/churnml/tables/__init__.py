"""The operator's histories: opened, read, checked, and shown only as of a date."""
