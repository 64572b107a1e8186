"""Panels of customers and dates, and what can be told from them before anything is trained."""
