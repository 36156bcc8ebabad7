"""Records of the topics as the command line shows them. Pure; everything from outside is escaped."""

from typing import Any

from aiokafka import ConsumerRecord

from schemas.codec import UndecodableError, decode
from streams.cli.printing import escaped, shown_bytes, when

_MAX_VALUE = 200


def record_data(record: ConsumerRecord) -> dict[str, Any]:
    """Where it stands, what it is, and its content; `kind` is "undecodable" for what is no record of ours."""
    place = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": shown_bytes(record.key),
    }
    try:
        kind, value = decode(record.value or b"")
    except UndecodableError as error:
        return {**place, "kind": "undecodable", "value": {"reason": error.reason, "bytes": shown_bytes(record.value)}}
    return {**place, "kind": kind, "value": value}


def record_line(data: dict[str, Any]) -> str:
    """One line: where, when, whose, what."""
    place = f"{data['partition']}/{data['offset']}  {when(data['timestamp'])}  {data['key']}"
    return f"{place}  {_content(data['kind'], data['value'])}"


def _content(kind: str, value: dict[str, Any]) -> str:
    match kind:
        case "TrackedEvent":
            flags = [name for name, on in value["flags"].items() if on]
            words = [value["type"], value["url"], value["title"], value["asset"], ",".join(flags), value["event_id"]]
            return escaped("  ".join(word for word in words if word))
        case "StageTransition":
            move = f"{value['from_stage']} -> {value['to_stage']}  {value['cause']}"
            return escaped(f"{move}  score {value['score']:.1f}  grade {value['grade']}  {value['id']}")
        case "DeadLetter":
            return escaped(f"{value['reason']}  {value['detail'][:_MAX_VALUE]}  {value['id']}")
        case "DeadLetterHandled":
            return escaped(f"{value['outcome']}  {value['detail'][:_MAX_VALUE]}  {value['id']}")
        case "ModelActivated":
            return escaped(f"{kind}  {value['name']}@{value['version']}  activation {value['n']}")
        case _:
            return escaped(f"{kind}  {' '.join(f'{name}={text}' for name, text in value.items())}"[:_MAX_VALUE])


def types_of(data: dict[str, Any]) -> set[str]:
    """The words by which `--type` finds a record."""
    value = data["value"]
    match data["kind"]:
        case "TrackedEvent":
            return {data["kind"], value["type"]}
        case "StageTransition":
            return {data["kind"], value["cause"], value["direction"], value["to_stage"]}
        case "DeadLetter":
            return {data["kind"], value["reason"]}
        case "DeadLetterHandled":
            return {data["kind"], value["outcome"]}
        case _:
            return {data["kind"]}
