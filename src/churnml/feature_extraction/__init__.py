"""Histories in, features as of a date out."""
