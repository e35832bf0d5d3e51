"""The interface of all quantizers, and what they share: exact search and k-means."""
