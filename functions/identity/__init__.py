"""Identity: tokens, keys, and who calls."""
