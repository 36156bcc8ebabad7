"""`leadstream model activate` and `model active`."""

from pathlib import Path

import click

from processors.model import Checked, ModelErrors, check_model
from processors.model.changes import ModelChanges
from processors.model_log import unpack_model
from processors.run_model_tests import run_model_tests
from streams.activation import Activation, plan_activation, write_activation
from streams.cli.asking import confirm
from streams.cli.exits import FINDING, WRONG_INPUT, CommandError
from streams.cli.model_comparison import (
    change_data,
    change_lines,
    change_warnings,
    changes_of,
    model_name,
    read_active,
)
from streams.cli.printing import escaped, plural, print_json
from streams.cli.services import brokers_of, partition_count, run, settings_of
from streams.settings.config import Settings, clock_of, topics_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--notify", is_flag=True, help="Alert also for leads that this model moves. Default: nobody is told.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def activate(context: click.Context, file: Path, notify: bool, yes: bool, as_json: bool) -> int:
    """Make FILE the model that scores from now on.

    Checks the file, runs the tests it carries, shows what changes and asks. Activating promotes nobody by itself. May
    be repeated: the same content again changes nothing.

    \b
    leadstream model activate model.yaml

    Exit code 2: the file is wrong, or one of its tests fails; 4: off a terminal, without --yes.
    """
    settings = settings_of(context)
    text, checked = _read(file)
    model = checked.model
    plan = run(_plan(settings, text, notify=notify), settings)
    changes = None if plan.before is None else changes_of(plan.before, text)
    if not as_json:
        for problem in checked.warnings:
            click.echo(f"warn {problem}")
        _print_plan(plan, changes, len(model.rules))
    if plan.partitions:
        if not (plan.repeats or yes):
            confirm(f"Activate {escaped(model.name)} for all leads?")
        run(
            write_activation(brokers_of(settings), topics_of(settings), plan, clock_of(settings).now_ms),
            settings,
        )
    if as_json:
        print_json(_as_data(plan, changes))
    else:
        click.echo(_result(plan))
    return 0


@click.command()
@click.option("--body", is_flag=True, help="Print the model file itself.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def active(context: click.Context, body: bool, as_json: bool) -> int:
    """Show the model that scores now.

    \b
    leadstream model active
    leadstream model active --body > model.yaml

    Exit code 1: none was ever activated.
    """
    settings = settings_of(context)
    found = run(read_active(settings), settings)
    if found is None:
        raise CommandError("no model is active", "run: leadstream model activate FILE", code=FINDING)
    if as_json:
        shown = {name: found[name] for name in ("n", "name", "version", "fold_version", "notify")}
        print_json({**shown, "body": unpack_model(found["body"])} if body else shown)
    elif body:
        click.echo(unpack_model(found["body"]), nl=False)
    else:
        click.echo(f"{model_name(found)}, activation {found['n']}")
    return 0


def _read(file: Path) -> tuple[str, Checked]:
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}", code=WRONG_INPUT) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: byte {error.start} is not UTF-8", code=WRONG_INPUT) from error
    try:
        checked = check_model(text, str(file))
    except ModelErrors as error:
        raise CommandError(str(error), f"nothing was activated: mend {file}", code=WRONG_INPUT) from error
    count, failures = run_model_tests(checked.model)
    if failures:
        lines = "\n".join(f"{file}: {failure}" for failure in failures)
        told = f"{len(failures)} expectations of {plural(count, 'test')} failed; nothing was activated"
        raise CommandError(lines, told, code=WRONG_INPUT)
    return text, checked


async def _plan(settings: Settings, text: str, *, notify: bool) -> Activation:
    brokers = brokers_of(settings)
    return await plan_activation(brokers, topics_of(settings), await partition_count(settings), text, notify=notify)


def _print_plan(plan: Activation, changes: ModelChanges | None, rules: int) -> None:
    if plan.before is None or changes is None:
        click.echo(f"{model_name(plan.record)}: the first model of this log, {plural(rules, 'rule')}")
    elif not plan.repeats:
        for line in change_lines(plan.before, changes):
            click.echo(line)
        for warning in change_warnings(changes):
            click.echo(f"warn {warning}")


def _result(plan: Activation) -> str:
    if not plan.partitions:
        return f"{model_name(plan.record)} is active already; nothing to do"
    where = plural(len(plan.partitions), "partition")
    if plan.repeats:
        return f"{model_name(plan.record)} was active already; written into the {where} that lacked it"
    return f"activated {model_name(plan.record)} in {where}"


def _as_data(plan: Activation, changes: ModelChanges | None) -> dict[str, object]:
    return {
        "name": plan.record["name"],
        "version": plan.record["version"],
        "n": plan.record["n"],
        "written_to": list(plan.partitions),
        "active": None if plan.before is None or changes is None else change_data(plan.before, changes),
    }
