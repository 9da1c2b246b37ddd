"""Templates: what an operator activated for a partner to read, page by page (seed 003)."""
