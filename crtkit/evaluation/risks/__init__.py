"""What predicted risks are worth: curves, calibration, decisions, sets in place of answers."""
