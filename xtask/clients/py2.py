"""Drives the official Python SDK, version 2: both eras over Streamable HTTP, and HTTP+SSE and stdio."""

from contextlib import AsyncExitStack

import anyio
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from common import PATIENCE, Verbs, callbacks, command, headers, plain, report, scenario


async def transport(plan, stack):
    if plan["transport"] == "http":
        http = await stack.enter_async_context(create_mcp_http_client(headers=headers(plan)))
        return streamable_http_client(plan["url"], http_client=http)
    if plan["transport"] == "sse":
        return sse_client(plan["url"], headers=headers(plan))
    return stdio_client(StdioServerParameters(**command(plan)))


class Second(Verbs):
    async def change(self, step, progress):
        if self.client.protocol_version < "2026":
            return await super().change(step, progress)
        async with self.client.listen(**{f"{step['list']}_list_changed": True}) as subscription:
            await self.call(step, None)
            with anyio.move_on_after(PATIENCE):
                async for event in subscription:
                    return {"heard": type(event).__name__ == f"{step['list'].title()}ListChanged"}
        return {"heard": False}


async def main():
    plan, asked, changes = scenario(), [], []
    async with AsyncExitStack() as stack:
        info = types.Implementation(name="driver-py2", version="1.0.0")
        wire = await transport(plan, stack)
        heard = callbacks(types, asked, changes)
        client = await stack.enter_async_context(Client(wire, mode=plan["mode"], client_info=info, **heard))
        connected = {
            "protocolVersion": client.protocol_version,
            "server": plain(client.server_info) if client.server_info else None,
            "capabilities": plain(client.server_capabilities),
        }
        await report(Second(types, client, changes), plan, connected, asked)


anyio.run(main)
