"""Semantic IDs: their text, their keys, and the policies that make them unique."""
