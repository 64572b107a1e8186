"""The database of what churnml keeps beside its files: campaigns, keys, audit."""
