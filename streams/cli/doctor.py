"""`leadstream doctor`."""

from pathlib import Path

import click

from streams.cli.findings import report_findings
from streams.cli.services import brokers_of, run, settings_of
from streams.clock import SystemClock
from streams.doctor.examine import examine
from streams.finding import Finding
from streams.settings.config import DEFAULT_FILE


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> int:
    """Say what is not well with what the settings name, and the fix.

    Looked at are the broker, topics, the model in force, who reads and how much waits, clocks, Redis, the collector with
    its secret and its spool, status pages, the webhook up to the TLS handshake, the channels of alerts. Writes nothing,
    sends nothing.

    \b
    leadstream doctor
    leadstream doctor --json | jq '.[] | select(.level != "ok")'

    Exit code 1: a failure; 3: a service cannot be reached.
    """
    settings = settings_of(context)
    given = context.find_root().obj or DEFAULT_FILE
    read = f"{given} and the environment" if Path(given).is_file() else f"the environment; no {given} is here"
    findings = [Finding("ok", f"settings: {read}")]
    findings += run(examine(settings, brokers_of(settings), SystemClock().now_ms), settings)
    return report_findings(findings, as_json=as_json)
