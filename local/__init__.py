"""The local platform: the real template.yaml on an emulated AWS, with nothing to install by hand.

``python -m local up|down|logs|clean|demo`` (the Makefile's targets of the same names). What is
emulated, what is patched and what is missing: docs/local-platform.md.
"""
