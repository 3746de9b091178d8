"""How sure a figure is: intervals, variances, tests, and how many patients it takes."""
