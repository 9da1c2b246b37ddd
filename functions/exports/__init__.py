"""Exports: one module per endpoint or workflow task."""
