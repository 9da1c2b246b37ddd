"""Templates that are read page by page (seed 003)."""
