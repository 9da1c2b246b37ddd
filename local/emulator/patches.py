"""What Headrace changes in MiniStack 1.5.33, and why. docs/local-platform.md tells it in prose."""

from local.emulator.sources import Patch

VERSION = "1.5.33"

PATCHES: tuple[Patch, ...] = ()
