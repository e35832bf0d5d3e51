"""Semantic IDs of a whole catalogue, as tables."""
