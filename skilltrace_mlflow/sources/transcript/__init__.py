"""Claude Code transcripts to sessions; `reader` is the way in.

Nothing is imported here: readers of traces use a few of these modules where msgspec is missing.
"""
