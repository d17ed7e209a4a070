"""`python -m tests.prove [NAME …] [--seed N] [--no-control]`: one JSON line a check.

Without a name: the quick set. `all` is every check. Exits 1 unless every check holds and every
control fails.
"""

import argparse
import json
import sys
import time

from tests.prove import checks
from tests.prove.harness import prove
from tests.prove.pairs import PAIRS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(checks.CHECKS))
    parser.add_argument("--seed", type=int, default=None, help="default: the day's")
    parser.add_argument("--no-control", action="store_true", help="leave the negative control out")
    parser.add_argument("--full", action="store_true", help="the long form, where there is one")
    parser.add_argument(
        "--pair", action="append", default=[], choices=PAIRS, help="only this database"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(checks.CHECKS) - {"all"}
    if unknown:
        parser.error(f"no check {', '.join(sorted(unknown))}; there are {', '.join(checks.CHECKS)}")
    names = [name for name, check in checks.CHECKS.items() if check.quick]
    if chosen.names:
        names = list(checks.CHECKS) if "all" in chosen.names else chosen.names
    seed = int(time.time() // 86_400) if chosen.seed is None else chosen.seed
    good = True
    for name in names:
        found = prove(
            name,
            checks.CHECKS[name],
            seed,
            with_control=not chosen.no_control,
            full=chosen.full,
            pairs=chosen.pair,
        )
        good = good and found["holds"] and found.get("control", {}).get("fails", True)
        print(json.dumps(found, ensure_ascii=False), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
