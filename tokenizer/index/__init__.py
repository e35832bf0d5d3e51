"""Similarity search over the codes, with FAISS."""
