"""Networks of the testbed: autoencoder, classifier, prior."""
