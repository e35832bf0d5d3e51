"""`make check`: the packages of constraints.txt against the published lists of vulnerabilities."""

import json
import subprocess
import sys
from typing import Any

__all__ = ["main", "verdict"]

COMMAND = [
    sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps",
    "--disable-pip", "--progress-spinner", "off", "--timeout", "15", "--format", "json",
]  # fmt: skip


def verdict(packages: list[dict[str, Any]]) -> tuple[str, int]:
    """Return what to say of what pip-audit found, and the exit code.

    Args:
        packages: each `name`, and `version` with `vulns` or, where it could not be asked for,
            `skip_reason`.
    """
    asked = [package for package in packages if "skip_reason" not in package]
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in asked
        for fault in package["vulns"]
    ]
    if faults:
        return "\n".join(["packages with known vulnerabilities:", *faults]), 1
    if not asked:
        return "packages not audited: no list of vulnerabilities can be reached from here", 0
    return f"{len(asked)} of {len(packages)} packages audited, no known vulnerability", 0


def main() -> int:
    """Ask, print, and return the exit code."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        packages = []
    said, code = verdict(packages)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
