"""``python -m gumbelzoo COMMAND``: the command line without the script that an installation makes."""

import sys

from gumbelzoo.train import main

sys.exit(main())
