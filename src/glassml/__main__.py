"""`python -m glassml`: the same as the `glassml` command."""

import sys

from glassml.cli import main

sys.exit(main())
