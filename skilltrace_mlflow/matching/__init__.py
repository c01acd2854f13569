"""Which calls of a session are meant: selectors, permission rules, values, trajectories."""
