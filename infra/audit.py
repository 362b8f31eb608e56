"""Asks PyPI's advisory database about every locked package, and says honestly how many it could ask about.

`pip-audit` alone ends well when it could ask about none, as behind an index that has no advisories. Here that is told
as what it is. Run by `make audit`; needs nothing but the standard library and pip-audit beside it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.lock"
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
FINE, VULNERABLE = 0, 1


def judge(report: dict[str, Any]) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    packages = report["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    found = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in asked
        for flaw in package["vulns"]
    ]
    if not asked:
        return FINE, [f"NOTICE: skipped. The package index in use has no advisories; 0 of {len(packages)} were asked."]
    return (VULNERABLE if found else FINE), [*found, f"{len(asked)} of {len(packages)} packages, {len(found)} flaws."]


def main() -> int:
    command = [str(Path(sys.executable).with_name("pip-audit")), "--requirement", str(LOCK), *OPTIONS]
    if not Path(command[0]).exists():
        print("NOTICE: skipped. pip-audit could not be installed.")
        return FINE
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        code, lines = judge(json.loads(done.stdout))
    except (ValueError, KeyError):
        code, lines = FINE, [f"NOTICE: skipped. {(done.stderr.strip().splitlines() or ['no answer'])[-1]}"]
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
