"""The vision testbed: quantizers in an image autoencoder, as in the papers that propose them."""
