// Reads documents as JSON.parse does, and says what it read: see reading.rs for the form.

import { createHash } from "node:crypto";
import { readSync, writeSync } from "node:fs";

const FIELDS = JSON.parse(process.argv[2]);
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const bits = new DataView(new ArrayBuffer(8));

function hex(text) {
  return Buffer.from(text, "utf8").toString("hex");
}

function value(read) {
  switch (typeof read) {
    case "boolean":
      return read ? "t" : "f";
    case "string":
      return "s" + hex(read);
    case "number": {
      bits.setFloat64(0, read === 0 ? 0 : read);
      return "d" + bits.getBigUint64(0).toString(16).padStart(16, "0");
    }
    case "undefined":
      return "n";
    default:
  }
  if (read === null) return "n";
  if (Array.isArray(read)) return "[" + read.map(value).join(",") + "]";
  const members = Object.keys(read).map((key) => [hex(key), read[key]]);
  members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return "{" + members.map(([key, member]) => key + ":" + value(member)).join(",") + "}";
}

function isObject(read) {
  return typeof read === "object" && read !== null && !Array.isArray(read);
}

function field(message, path) {
  for (const step of path) {
    if (!isObject(message) || !Object.hasOwn(message, step)) return null;
    message = message[step];
  }
  return message;
}

function message(read) {
  return isObject(read) ? FIELDS.map((path) => value(field(read, path))).join("|") : value(read);
}

function reading(document) {
  const read = JSON.parse(UTF8.decode(document));
  return Array.isArray(read) ? "B" + read.map(message).join(";") : "M" + message(read);
}

function take(length) {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const read = readSync(0, bytes, at, length - at, null);
    if (read === 0) process.exit(0);
    at += read;
  }
  return bytes;
}

for (;;) {
  const head = take(5);
  const document = take(head.readUInt32BE(1));
  const digest = head[0] === 0x64;
  let answer;
  try {
    const text = reading(document);
    answer = digest ? createHash("sha256").update(text).digest("hex").slice(0, 16) : text;
  } catch (error) {
    answer = digest ? "-" : "-" + error.message;
  }
  const body = Buffer.from(answer, "utf8");
  const framed = Buffer.alloc(4 + body.length);
  framed.writeUInt32BE(body.length, 0);
  body.copy(framed, 4);
  for (let at = 0; at < framed.length; ) at += writeSync(1, framed, at);
}
