"""Semantic IDs: their text, their keys, and what makes them unique."""
