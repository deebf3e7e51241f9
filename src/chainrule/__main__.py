"""``python -m chainrule`` is the command ``chainrule``."""

import sys

from .cli.main import main

sys.exit(main())
