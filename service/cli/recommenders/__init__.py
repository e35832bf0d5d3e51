"""Commands that train, evaluate and use recommenders."""
