"""Which levels × codewords, network, beam and policy suit a catalogue: a study on real ones."""
