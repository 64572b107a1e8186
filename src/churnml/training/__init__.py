"""Training: dates, models, what they are judged by, and what is kept of it."""
