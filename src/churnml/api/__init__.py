"""What the commands do, as functions of the same names."""
