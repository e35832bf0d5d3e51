"""Models that score or generate the next item."""
