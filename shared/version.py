"""The version, in one place. Production runs the folders without installing the package: nobody may ask pip for it."""

VERSION = "0.1.0"
