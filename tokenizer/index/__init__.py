"""FAISS over the codes."""
