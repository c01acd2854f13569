"""What command lines and SQL texts run: reading them, and the patterns they are held against."""
