"""The command line, ``crtkit`` or ``python -m crtkit``: one file for each command."""
