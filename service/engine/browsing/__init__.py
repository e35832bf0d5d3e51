"""What the page shows beside IDs: names of prefixes, and the fields of items."""
