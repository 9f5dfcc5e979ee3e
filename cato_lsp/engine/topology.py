"""vLLM's reading of the CPU topology, made to work where ``/sys`` is not mounted."""

from __future__ import annotations

import logging
from typing import Any

from vllm.utils import cpu_resource_utils

logger = logging.getLogger(__name__)


def tolerate_missing_topology() -> None:
    """Let vLLM take the CPUs for one NUMA node where ``lscpu`` fails, as in a chroot or container without ``/sys``.

    vLLM does so itself where ``lscpu`` answers without a topology, but not where it fails. The list is only used to
    choose a memory node here: threads are not bound to cores.
    """
    utilities: Any = cpu_resource_utils
    try:
        utilities._get_cpu_list()
    except (OSError, ValueError, KeyError, utilities.subprocess.SubprocessError) as error:
        logger.info("No CPU topology, all CPUs count as one NUMA node: %s", error)
        utilities._get_cpu_list = utilities._synthesize_cpu_list
