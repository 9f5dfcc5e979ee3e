"""The models that can be used here, and the one in the package."""
