"""What the Python drivers share: read a scenario from stdin, take its steps one by one, print one JSON object.

Both versions of the SDK name most things alike; what differs is in `py1.py` and `py2.py`. Nothing is judged here. A
driver says what its SDK saw, and `cargo xtask test` compares.
"""

import json
import os
import sys
import time

import anyio

PATIENCE = 15


def scenario():
    """Where to connect, how, and the steps; by stdin because it carries the token."""
    return json.load(sys.stdin)


def headers(plan):
    """What the client sends with each HTTP request: only the guard may see it."""
    sent = {"Authorization": f"Bearer {plan['token']}"} if plan.get("token") else {}
    return {**sent, "Cookie": plan["cookie"]} if plan.get("cookie") else sent


def command(plan):
    """The parameters of a stdio server."""
    words = plan["command"]
    return {"command": words[0], "args": words[1:], "env": {**os.environ, **plan.get("env", {})}}


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def callbacks(types, asked, changes):
    """What the client says when the server asks it something, and a note of each question and each changed list."""

    async def elicit(_context, params):
        asked.append({"method": "elicitation/create", "message": params.message})
        return types.ElicitResult(action="accept", content={"name": "Ada Lovelace"})

    async def sample(_context, params):
        asked.append({"method": "sampling/createMessage", "messages": [plain(message) for message in params.messages]})
        text = {"type": "text", "text": "sampled words"}
        words = {"role": "assistant", "model": "driver-model", "stopReason": "endTurn", "content": text}
        return types.CreateMessageResult.model_validate(words)

    async def roots(_context):
        asked.append({"method": "roots/list"})
        return types.ListRootsResult(roots=[])

    async def heard(message):
        method = getattr(getattr(message, "root", message), "method", "")
        if method.endswith("/list_changed"):
            changes.append(method.split("/")[1])

    return {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots, "message_handler": heard}


class Verbs:
    """The steps. `client` is whatever the SDK gives its users, connected."""

    def __init__(self, types, client, changes):
        self.types, self.client, self.changes = types, client, changes

    async def listTools(self, _step, _progress):
        return plain(await self.client.list_tools())

    async def listResources(self, _step, _progress):
        return plain(await self.client.list_resources())

    async def listTemplates(self, _step, _progress):
        return plain(await self.client.list_resource_templates())

    async def listPrompts(self, _step, _progress):
        return plain(await self.client.list_prompts())

    async def call(self, step, progress):
        return plain(await self.client.call_tool(step["name"], step.get("arguments", {}), progress_callback=progress))

    async def read(self, step, _progress):
        return plain(await self.client.read_resource(step["uri"]))

    async def prompt(self, step, _progress):
        return plain(await self.client.get_prompt(step["name"], step.get("arguments")))

    async def complete(self, step, _progress):
        ref = step["ref"]
        if ref["type"] == "ref/prompt":
            what = self.types.PromptReference(type="ref/prompt", name=ref["name"])
        else:
            what = self.types.ResourceTemplateReference(type="ref/resource", uri=ref["uri"])
        return plain(await self.client.complete(what, step["argument"]))

    async def cancel(self, step, _progress):
        """Calls, and takes it back at the first sign that the server is at work."""
        with anyio.move_on_after(PATIENCE) as scope:

            async def at_work(*_):
                scope.cancel()

            return await self.call(step, at_work)
        await self.taken_back()
        return {"cancelled": True}

    async def taken_back(self):
        """What the SDK does not do by itself when a call is cancelled."""

    async def change(self, step, _progress):
        """Calls a tool that changes a list, and waits to hear so."""
        self.changes.clear()
        await self.call(step, None)
        with anyio.move_on_after(PATIENCE):
            while not self.changes:
                await anyio.sleep(0.05)
        return {"heard": step["list"] in self.changes}


async def outcome(verbs, step):
    """One step. An error that the protocol carries is an observation; any other is told by its type."""
    progress = []

    async def on_progress(done, total, message):
        seen = {"progress": done, "total": total, "message": message}
        progress.append({key: value for key, value in seen.items() if value is not None})

    began = time.monotonic()
    try:
        seen = {"result": await getattr(verbs, step["do"])(step, on_progress if step.get("progress") else None)}
    except Exception as error:  # whatever the SDK raises is what a user of it sees
        told = getattr(error, "error", None)
        if told is None:
            seen = {"error": {"code": None, "message": str(error), "data": None}, "kind": type(error).__name__}
        else:
            seen = {"error": {"code": told.code, "message": told.message, "data": told.data}, "kind": type(error).__name__}
    return {**seen, "progress": progress, "ms": round((time.monotonic() - began) * 1000)}


async def report(verbs, plan, connected, asked):
    outcomes = {}
    for step in plan["steps"]:
        outcomes[step["as"]] = await outcome(verbs, step)
    print(json.dumps({"connected": connected, "outcomes": outcomes, "asked": asked}), flush=True)
