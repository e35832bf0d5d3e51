"""Learnt codebooks; each file has one gradient estimator or update rule."""
