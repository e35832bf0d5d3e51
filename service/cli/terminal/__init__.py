"""What all commands share: the console, and options of one form."""
