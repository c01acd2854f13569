"""What results look like on a terminal: lines, columns, a test at a time, lists."""
