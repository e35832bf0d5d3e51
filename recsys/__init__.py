"""Models that consume semantic IDs."""
