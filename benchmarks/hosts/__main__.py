"""``python -m benchmarks.hosts sizes|flags|headline|off [options]``."""

from __future__ import annotations

import argparse
import shlex
import sys

from benchmarks import hosts, machine
from benchmarks.hosts import client, flags, headline, off, sizes
from tests.hosts.services import host_dir


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=hosts.__doc__.split("\n")[0])
    kinds = made.add_subparsers(dest="kind", required=True)
    for name, module in (("sizes", sizes), ("flags", flags), ("headline", headline), ("off", off)):
        kind = kinds.add_parser(name, help=module.__doc__.split("\n")[0])
        kind.set_defaults(run=module.run)
        if module is not off:
            kind.add_argument("--rounds", type=int, default=200, help="requests of each side (default 200)")
        kind.add_argument("--seconds", type=float, default=30.0, help="most for one figure (default 30)")
        kind.add_argument("--store", default=f"hosts-{name}", help="name of the file in benchmarks/results")
        if name in ("sizes", "flags"):
            kind.add_argument("--operations", nargs="+", choices=client.CALLS, default=list(client.CALLS))
    kinds.choices["sizes"].add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    kinds.choices["sizes"].add_argument("--clients", type=int, nargs="+", default=[1, 8])
    kinds.choices["sizes"].add_argument("--turns", type=int, default=2, help="of eight clients at each side")
    for name in ("flags", "headline", "off"):
        kinds.choices[name].add_argument("--size", type=int, default=1_000, help="patterns (default 1000)")
    kinds.choices["flags"].add_argument("--only", nargs="+", choices=flags.variants(), help="these beside plain")
    return made


def main() -> None:
    """Measure, print, store."""
    options = parser().parse_args()
    if host_dir() is None:
        sys.exit("KATO_HOST_DIR must name a checkout of KATO")
    print(f"CPU: {machine.describe()['cpu']}, load {machine.load()}", flush=True)
    before = machine.load()
    rows = options.run(options)
    command = f"python -m benchmarks.hosts {shlex.join(sys.argv[1:])}"
    client.store(options.store, command, rows, bool(getattr(options, "only", None)), load_before=before)


if __name__ == "__main__":
    main()
