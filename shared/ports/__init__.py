"""What the pipelines need of the outside world, as Protocols of one to three methods."""
