"""Drives the official Python SDK, version 1: Streamable HTTP, HTTP+SSE, stdio."""

import asyncio
import os
from contextlib import asynccontextmanager

import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

from common import bearer, plain, report, scenario


@asynccontextmanager
async def streams(plan):
    if plan["transport"] == "http":
        async with streamablehttp_client(plan["url"], headers=bearer(plan)) as (read, write, _):
            yield read, write
    elif plan["transport"] == "sse":
        async with sse_client(plan["url"], headers=bearer(plan)) as pair:
            yield pair
    else:
        command = plan["command"]
        server = StdioServerParameters(command=command[0], args=command[1:], env={**os.environ, **plan.get("env", {})})
        async with stdio_client(server) as pair:
            yield pair


def callbacks(plan, asked):
    if not plan.get("answers"):
        return {}

    async def elicit(_context, params):
        asked.append({"method": "elicitation/create", "message": params.message})
        return types.ElicitResult(action="accept", content={"name": "Ada Lovelace"})

    async def sample(_context, params):
        asked.append({"method": "sampling/createMessage", "messages": [plain(message) for message in params.messages]})
        text = types.TextContent(type="text", text="sampled words")
        return types.CreateMessageResult(role="assistant", model="driver-model", stopReason="endTurn", content=text)

    async def roots(_context):
        asked.append({"method": "roots/list"})
        return types.ListRootsResult(roots=[])

    return {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots}


def reference(ref):
    if ref["type"] == "ref/prompt":
        return types.PromptReference(type="ref/prompt", name=ref["name"])
    return types.ResourceTemplateReference(type="ref/resource", uri=ref["uri"])


def verbs(session):
    return {
        "listTools": lambda step, _: session.list_tools(),
        "listResources": lambda step, _: session.list_resources(),
        "listTemplates": lambda step, _: session.list_resource_templates(),
        "listPrompts": lambda step, _: session.list_prompts(),
        "call": lambda step, p: session.call_tool(step["name"], step.get("arguments", {}), progress_callback=p),
        "read": lambda step, _: session.read_resource(step["uri"]),
        "prompt": lambda step, _: session.get_prompt(step["name"], step.get("arguments")),
        "complete": lambda step, _: session.complete(reference(step["ref"]), step["argument"]),
    }


async def main():
    plan, asked = scenario(), []
    if plan.get("protocolVersion"):
        types.LATEST_PROTOCOL_VERSION = plan["protocolVersion"]  # the session offers whatever stands here
    async with streams(plan) as (read, write):
        info = types.Implementation(name="driver-py1", version="1.0.0")
        async with ClientSession(read, write, client_info=info, **callbacks(plan, asked)) as session:
            hello = await session.initialize()
            connected = {
                "protocolVersion": hello.protocolVersion,
                "server": plain(hello.serverInfo),
                "capabilities": plain(hello.capabilities),
            }
            await report(verbs(session), plan, connected, asked)


asyncio.run(main())
