"""Grades of customers."""
