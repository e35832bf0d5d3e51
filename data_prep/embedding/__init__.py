"""Encoders of texts; a text's vector does not depend on the rest of its batch."""
