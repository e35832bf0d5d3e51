"""What to choose for a catalogue, and what a tokenizer's figures mean, in words."""
