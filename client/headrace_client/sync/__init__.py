"""Keeping a copy of the caller's tables: a full export first, then what changed, for ever."""
