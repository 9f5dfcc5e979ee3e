"""Ray and Ray Serve, whose own types are partial. Nothing else imports them.

They are imported by name, so that the type checker does not need the extra ``fleet``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, cast

# Read when Ray is imported: nothing is reported to anyone.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

ray = cast("Any", importlib.import_module("ray"))
serve = cast("Any", importlib.import_module("ray.serve"))
