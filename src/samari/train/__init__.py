"""Training: simulated prompts, data, losses, and the recipe that made the bundled model."""
