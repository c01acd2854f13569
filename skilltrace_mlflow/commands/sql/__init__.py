"""SQL texts: patterns for statements, and the command lines and program texts that hold SQL."""
