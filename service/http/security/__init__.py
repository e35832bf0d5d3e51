"""Protects the service: API keys and scopes, host names, and limits on request bodies."""
