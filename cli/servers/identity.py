"""Names a process so that a later one with the same id is not taken for it."""

from cli.watchdog import birth


def identity(pid: int) -> str:
    return f"{pid} {birth(pid)}"


def lives(named: str) -> bool:
    """Whether the process that `identity` named is still there."""
    pid = named.split(maxsplit=1)[0] if named.split() else ""
    return pid.isdigit() and identity(int(pid)) == named and birth(int(pid)) is not None
