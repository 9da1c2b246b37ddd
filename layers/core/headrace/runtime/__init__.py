"""The edge: settings, wiring, and how errors and values become HTTP or a task's outcome."""
