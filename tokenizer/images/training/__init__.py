"""Training of the autoencoder and of the prior."""
