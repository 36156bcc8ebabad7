"""Findings as people see them: one line each, colours only on a terminal (click takes them off elsewhere)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import click

from streams.cli.exits import FINDING, UNREACHABLE
from streams.cli.printing import escaped, plural, print_json
from streams.finding import Finding

_LABELS = {"ok": ("ok  ", "green"), "warn": ("WARN", "yellow"), "fail": ("FAIL", "red")}


def report_findings(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print them; the exit code: 3 if a service cannot be reached, else 1 for a failure, else 0."""
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            label, colour = _LABELS[finding.level]
            # What a broker or a page answers may stand in it.
            fix = f"\n      fix: {escaped(finding.fix)}" if finding.fix else ""
            click.echo(f"{click.style(label, fg=colour)}  {escaped(finding.what)}{fix}")
        count = Counter(finding.level for finding in findings)
        click.echo(f"{count['ok']} ok, {plural(count['warn'], 'warning')}, {plural(count['fail'], 'failure')}")
    if any(finding.away for finding in findings):
        return UNREACHABLE
    return FINDING if any(finding.level == "fail" for finding in findings) else 0
