"""Templates: rows that the operator has activated for a partner, read page by page."""
