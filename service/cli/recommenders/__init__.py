"""Commands that train and judge recommenders."""
