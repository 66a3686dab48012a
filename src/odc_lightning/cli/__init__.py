"""Between the shell and a command."""
