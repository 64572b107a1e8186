"""Scores: one predict for all, and the reasons behind it in plain words."""
