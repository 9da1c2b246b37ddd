"""What Headrace changes in MiniStack 1.5.33, and why; docs/local-platform.md tells it in prose.

Each entry names the very lines that it replaces. Comments in the replacements are ours.
"""

from local.emulator.patches import (
    access,
    deployment,
    functions,
    gateway,
    mutual_tls,
    objects,
    workflow,
)
from local.emulator.sources import Patch

VERSION = "1.5.33"

PATCHES: tuple[Patch, ...] = (
    access.PATCHES
    + functions.PATCHES
    + gateway.PATCHES
    + mutual_tls.PATCHES
    + deployment.PATCHES
    + workflow.PATCHES
    + objects.PATCHES
)
