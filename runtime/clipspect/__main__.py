"""`python -m clipspect` is the `clipspect` command."""

import sys

from clipspect.cli import main

sys.exit(main())
