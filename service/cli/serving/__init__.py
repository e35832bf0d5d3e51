"""Commands around the running service and its registry."""
