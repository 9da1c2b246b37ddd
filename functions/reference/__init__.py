"""The API's own pages, and its answer to what it does not have."""
