"""The sample warehouse: an invented company's HR data, with every awkward value in it."""
