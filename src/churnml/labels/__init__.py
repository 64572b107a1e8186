"""What became of customers, as a model is to learn it."""
