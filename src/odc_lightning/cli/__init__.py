"""The command line: `odc`, shell completion, error messages."""
