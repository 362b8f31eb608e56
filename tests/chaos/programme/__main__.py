"""`python -m tests.chaos.programme`: hurt everything for as long as a profile says, then judge, then report."""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.programme import report
from tests.chaos.programme.profile import PROFILES
from tests.chaos.programme.run import loud, run

SEED = "VIBEINSIGHT_CHAOS_SEED"


def main() -> None:
    asked = _parse()
    seed = asked.seed if asked.seed is not None else int(os.environ.get(SEED) or secrets.randbelow(2**31))
    loud(f"profile {asked.profile}, seed {seed}: {SEED}={seed} does the same again")
    folder = Path(tempfile.mkdtemp(prefix="vibeinsight-chaos-"))
    record = run(PROFILES[asked.profile], seed, folder, loud)
    print(report.one(record))
    if asked.report:
        report.add(record)
    if record.passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        sys.exit(f"The logs are in {folder}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.programme", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="long")
    parser.add_argument("--seed", type=int, help=f"default: ${SEED}, else drawn")
    parser.add_argument("--report", action="store_true", help="add the run to docs/reliability.md")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # so that nothing is left running
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    main()
