"""Images: read from folders, archives and tables, brought to one size, split, and kept on a device."""
