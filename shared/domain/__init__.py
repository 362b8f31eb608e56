"""Plain data and its rules: frozen dataclasses, enums and the error tree. No I/O, no vendor types."""
