"""Records Claude Code sessions: a scripted model API, and the scenarios it plays."""
