"""The command `python -m tests.roundtrip`; see docs/roundtrip.md and `--help`."""

from __future__ import annotations

import sys

from .command import main

sys.exit(main())
