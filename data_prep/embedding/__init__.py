"""Texts → vectors: encoders whose vectors do not depend on the rest of the batch."""
