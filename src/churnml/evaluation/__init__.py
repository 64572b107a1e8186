"""How good the models are: figures, verdicts and plots."""
