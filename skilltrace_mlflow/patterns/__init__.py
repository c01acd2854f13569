"""Texts and paths against patterns: wildcards, globs, regular expressions, path rules."""
