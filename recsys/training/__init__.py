"""One training loop for every model that predicts the next item."""
