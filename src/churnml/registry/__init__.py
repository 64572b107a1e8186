"""The one door to MLflow: models are recorded, promoted by their verdict, and loaded again."""
