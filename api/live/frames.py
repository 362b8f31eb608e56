"""Phoenix frames, as Supabase's clients write them: objects in version 1.0.0, arrays in 2.0.0.

A push from the server has a `ref` of null that must be there: the Python client refuses a frame without it.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OBJECTS, ARRAYS = "1.0.0", "2.0.0"
VERSIONS = frozenset({OBJECTS, ARRAYS})
LONGEST_TOPIC = 255  # characters; a topic comes back with every row
LONGEST_REF = 64  # clients count: 1, 2, 3
_BINARY = struct.Struct("7B")  # kind, lengths of join_ref, ref, topic, event and meta, encoding
_CLIENT_BROADCAST = 3


class NotAFrame(ValueError):
    """What came is nothing that a client of Phoenix sends."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, in either direction."""

    topic: str
    event: str
    payload: Mapping[str, Any]
    ref: str | None = None
    join_ref: str | None = None


def read_frame(vsn: str, text: str) -> Frame:
    """Raises NotAFrame."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAFrame("not JSON") from None
    if vsn == ARRAYS:
        if not isinstance(said, list) or len(said) != 5:
            raise NotAFrame("not an array of five")
        join_ref, ref, topic, event, payload = said
    else:
        if not isinstance(said, dict):
            raise NotAFrame("not an object")
        topic, event, payload = said.get("topic"), said.get("event"), said.get("payload")
        join_ref, ref = said.get("join_ref"), said.get("ref")
    return _checked(topic, event, payload, ref, join_ref)


def read_binary(vsn: str, data: bytes) -> Frame:
    """The head of a client's broadcast in version 2.0.0; its content is not ours to look at. Raises NotAFrame."""
    if vsn != ARRAYS or len(data) < _BINARY.size or data[0] != _CLIENT_BROADCAST:
        raise NotAFrame("binary")
    parts, at = [], _BINARY.size
    for length in _BINARY.unpack_from(data)[1:5]:
        parts.append(data[at : at + length])
        at += length
    try:
        join_ref, ref, topic, _ = (part.decode() for part in parts)
    except UnicodeDecodeError:
        raise NotAFrame("binary without a topic") from None
    if at > len(data):
        raise NotAFrame("binary, cut short")
    return _checked(topic, "broadcast", {}, ref or None, join_ref or None)


def write_frame(vsn: str, frame: Frame) -> str:
    if vsn == ARRAYS:
        return json.dumps([frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload])
    return json.dumps({"topic": frame.topic, "event": frame.event, "payload": frame.payload, "ref": frame.ref})


def _checked(topic: object, event: object, payload: object, ref: object, join_ref: object) -> Frame:
    if not isinstance(topic, str) or not isinstance(event, str) or len(topic) > LONGEST_TOPIC:
        raise NotAFrame("no topic and event")
    if payload is not None and not isinstance(payload, dict):
        raise NotAFrame("a payload that is no object")
    return Frame(topic, event, payload or {}, _reference(ref), _reference(join_ref))


def _reference(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str | int) or len(str(value)) > LONGEST_REF:
        raise NotAFrame("a ref that is no text")
    return str(value)
