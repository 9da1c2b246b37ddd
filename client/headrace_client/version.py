"""The package's version, as its metadata says."""

from importlib.metadata import version

VERSION = version("headrace-client")
USER_AGENT = f"headrace-client/{VERSION}"
