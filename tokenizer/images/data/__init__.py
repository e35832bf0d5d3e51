"""Images: read from folders, archives and tables, brought to one size, and split."""
