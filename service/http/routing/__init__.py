"""The classes of routes: how their endpoints are called."""
