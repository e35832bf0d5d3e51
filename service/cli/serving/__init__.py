"""Commands that run the service, its registry and its keys."""
