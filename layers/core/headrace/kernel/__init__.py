"""Values that every product shares: errors, time, ids, paging. Nothing here knows AWS or HTTP."""
