"""Where a killed run goes on: the journal of its fits, and what makes two runs the same."""
