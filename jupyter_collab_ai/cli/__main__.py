"""``python -m jupyter_collab_ai.cli`` is ``jupyter collab-ai``."""

import sys

from jupyter_collab_ai.cli.main import main

sys.exit(main())
