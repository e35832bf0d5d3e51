"""What a catalogue holds: how full its fields are, and what an encoder reads of its texts."""
