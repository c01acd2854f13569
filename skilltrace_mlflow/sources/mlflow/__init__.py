"""MLflow traces, of every tracer that has written them, to sessions; and fetching them."""
