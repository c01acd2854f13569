"""The same session read from different sources gives the same evidence."""
