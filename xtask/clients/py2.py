"""Drives the official Python SDK, version 2: both eras over Streamable HTTP, and HTTP+SSE and stdio."""

import asyncio
import os
from contextlib import AsyncExitStack

import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from common import bearer, plain, report, scenario


async def transport(plan, stack):
    if plan["transport"] == "http":
        http = await stack.enter_async_context(create_mcp_http_client(headers=bearer(plan)))
        return streamable_http_client(plan["url"], http_client=http)
    if plan["transport"] == "sse":
        return sse_client(plan["url"], headers=bearer(plan))
    command = plan["command"]
    return stdio_client(StdioServerParameters(command=command[0], args=command[1:], env={**os.environ, **plan.get("env", {})}))


def callbacks(plan, asked):
    if not plan.get("answers"):
        return {}

    async def elicit(_context, params):
        asked.append({"method": "elicitation/create", "message": params.message})
        return types.ElicitResult(action="accept", content={"name": "Ada Lovelace"})

    async def sample(_context, params):
        asked.append({"method": "sampling/createMessage", "messages": [plain(message) for message in params.messages]})
        text = types.TextContent(type="text", text="sampled words")
        return types.CreateMessageResult(role="assistant", model="driver-model", stop_reason="endTurn", content=text)

    async def roots(_context):
        asked.append({"method": "roots/list"})
        return types.ListRootsResult(roots=[])

    return {"elicitation_callback": elicit, "sampling_callback": sample, "list_roots_callback": roots}


def reference(ref):
    if ref["type"] == "ref/prompt":
        return types.PromptReference(type="ref/prompt", name=ref["name"])
    return types.ResourceTemplateReference(type="ref/resource", uri=ref["uri"])


def verbs(client):
    return {
        "listTools": lambda step, _: client.list_tools(),
        "listResources": lambda step, _: client.list_resources(),
        "listTemplates": lambda step, _: client.list_resource_templates(),
        "listPrompts": lambda step, _: client.list_prompts(),
        "call": lambda step, p: client.call_tool(step["name"], step.get("arguments", {}), progress_callback=p),
        "read": lambda step, _: client.read_resource(step["uri"]),
        "prompt": lambda step, _: client.get_prompt(step["name"], step.get("arguments")),
        "complete": lambda step, _: client.complete(reference(step["ref"]), step["argument"]),
    }


async def main():
    plan, asked = scenario(), []
    async with AsyncExitStack() as stack:
        info = types.Implementation(name="driver-py2", version="1.0.0")
        wire = await transport(plan, stack)
        client = await stack.enter_async_context(Client(wire, mode=plan["mode"], client_info=info, **callbacks(plan, asked)))
        connected = {
            "protocolVersion": client.protocol_version,
            "server": plain(client.server_info) if client.server_info else None,
            "capabilities": plain(client.server_capabilities),
        }
        await report(verbs(client), plan, connected, asked)


asyncio.run(main())
