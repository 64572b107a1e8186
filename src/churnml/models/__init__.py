"""Churn and value models, and the rules that they have to beat."""
