"""Tables in parts: read in pieces, worked on side by side, and written to numbered files."""
