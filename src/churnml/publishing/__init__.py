"""Releases: models and the scores of a day as one folder of plain files, which the service answers from."""
