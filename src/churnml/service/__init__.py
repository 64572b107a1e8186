"""The HTTP service: scores, customers and campaign lists for other systems, by key."""
