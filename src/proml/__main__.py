"""``python -m proml``: the command line."""

import sys

from proml.cli import main

if __name__ == "__main__":
    sys.exit(main())
