"""What the Python drivers share: read a scenario from stdin, take its steps one by one, print one JSON object.

Nothing is judged here. A driver says what its SDK saw, and `cargo xtask test` compares.
"""

import json
import sys
import time


def scenario():
    """Where to connect, how, and the steps; by stdin because it carries the token."""
    return json.load(sys.stdin)


def bearer(plan):
    return {"Authorization": f"Bearer {plan['token']}"} if plan.get("token") else {}


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def outcome(verbs, step):
    """One step. An error that the protocol carries is an observation; any other is told by its type."""
    progress = []

    async def on_progress(done, total, message):
        seen = {"progress": done, "total": total, "message": message}
        progress.append({key: value for key, value in seen.items() if value is not None})

    began = time.monotonic()
    try:
        seen = {"result": plain(await verbs[step["do"]](step, on_progress if step.get("progress") else None))}
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
