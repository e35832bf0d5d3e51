"""Item vectors → codes → frozen semantic IDs."""
