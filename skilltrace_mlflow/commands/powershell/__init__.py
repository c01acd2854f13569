"""PowerShell's command lines, read by hand: the tables of its names and files, its words."""
