"""How a fitted model takes what another hospital does to its input."""
