"""What answers requests, without HTTP."""
