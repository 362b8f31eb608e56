"""The HTTP edge: authenticate, validate, write rows, move bytes. Never calls a model."""
