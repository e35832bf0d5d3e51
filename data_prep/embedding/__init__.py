"""Texts and their vectors: encoders, and one vector for a text whatever is beside it."""
