"""``python -m crtkit``."""

import sys

from crtkit.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
