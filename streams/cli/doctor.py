"""`leadstream doctor`."""

import click

from streams.cli.findings import report_findings
from streams.cli.services import brokers_of, run, settings_of
from streams.config import topics_of
from streams.doctor import examine


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> int:
    """Look at the services that leadstream needs: the broker, its topics, Redis.

    \b
    leadstream doctor

    Exit code 1: a failure; 3: a service cannot be reached.
    """
    settings = settings_of(context)
    findings = run(examine(brokers_of(settings), settings.redis.url, topics_of(settings)), settings)
    return report_findings(findings, as_json=as_json)
