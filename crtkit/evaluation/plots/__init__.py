"""Pictures of an evaluation, each drawn on one axes."""
