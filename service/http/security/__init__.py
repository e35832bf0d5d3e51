"""Keys, scopes, and headers that protect browsers."""
