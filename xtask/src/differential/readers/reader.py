"""Reads documents as Python's json does, and says what it read: see reading.rs for the form."""

import hashlib
import json
import struct
import sys

FIELDS = json.loads(sys.argv[1])
# Documents may be nested more deeply than Python's own frames go.
sys.setrecursionlimit(50_000)


def value(read):
    if read is None:
        return "n"
    if read is True:
        return "t"
    if read is False:
        return "f"
    if isinstance(read, str):
        return "s" + read.encode("utf-8", "surrogatepass").hex()
    if isinstance(read, (int, float)):
        try:
            double = float(read)
        except OverflowError:
            return "i" + hex(read)
        return "d" + struct.pack(">d", double + 0.0 if double else 0.0).hex()
    if isinstance(read, list):
        return "[" + ",".join(value(element) for element in read) + "]"
    members = sorted((key.encode("utf-8", "surrogatepass").hex(), member) for key, member in read.items())
    return "{" + ",".join(key + ":" + value(member) for key, member in members) + "}"


def field(message, path):
    for step in path:
        if not isinstance(message, dict):
            return None
        message = message.get(step)
    return message


def message(read):
    if not isinstance(read, dict):
        return value(read)
    return "|".join(value(field(read, path)) for path in FIELDS)


def reading(document):
    try:
        read = json.loads(document)
    except (ValueError, RecursionError) as error:
        return None, str(error)
    if isinstance(read, list):
        return "B" + ";".join(message(element) for element in read), ""
    return "M" + message(read), ""


def main():
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(5):
        mode, length = struct.unpack(">cI", head)
        text, why = reading(source.read(length))
        if text is None:
            answer = b"-" if mode == b"d" else ("-" + why).encode("utf-8", "replace")
        elif mode == b"d":
            answer = hashlib.sha256(text.encode()).hexdigest()[:16].encode()
        else:
            answer = text.encode()
        sink.write(struct.pack(">I", len(answer)) + answer)
        sink.flush()


main()
