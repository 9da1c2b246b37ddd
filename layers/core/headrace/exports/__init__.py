"""Exports: a tenant's tables, out in bulk. Paths and rules: seed 000 (Data API)."""
