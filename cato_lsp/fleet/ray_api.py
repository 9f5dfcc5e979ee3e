"""Ray and Ray Serve, whose own types are partial. Nothing else imports them."""

from __future__ import annotations

import os
from typing import Any, cast

# Read when Ray is imported: nothing is reported to anyone.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray as _ray
from ray import serve as _serve

ray = cast("Any", _ray)
serve = cast("Any", _serve)
