"""Drives the official Python SDK, version 1: Streamable HTTP, HTTP+SSE, stdio."""

from contextlib import asynccontextmanager

import anyio
import mcp.types as types
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

from common import Verbs, callbacks, command, headers, plain, report, scenario


@asynccontextmanager
async def streams(plan):
    if plan["transport"] == "http":
        async with streamablehttp_client(plan["url"], headers=headers(plan)) as (read, write, _):
            yield read, write
    elif plan["transport"] == "sse":
        async with sse_client(plan["url"], headers=headers(plan)) as pair:
            yield pair
    else:
        async with stdio_client(StdioServerParameters(**command(plan))) as pair:
            yield pair


class First(Verbs):
    async def taken_back(self):
        # This version has no call to cancel, so that its users count requests as this does.
        params = types.CancelledNotificationParams(requestId=self.client._request_id - 1, reason="not wanted any more")
        notification = types.CancelledNotification(method="notifications/cancelled", params=params)
        await self.client.send_notification(types.ClientNotification(notification))


async def main():
    plan, asked, changes = scenario(), [], []
    if plan.get("protocolVersion"):
        types.LATEST_PROTOCOL_VERSION = plan["protocolVersion"]  # the session offers whatever stands here
    info = types.Implementation(name="driver-py1", version="1.0.0")
    async with (
        streams(plan) as (read, write),
        ClientSession(read, write, client_info=info, **callbacks(types, asked, changes)) as session,
    ):
        hello = await session.initialize()
        connected = {
            "protocolVersion": hello.protocolVersion,
            "server": plain(hello.serverInfo),
            "capabilities": plain(hello.capabilities),
        }
        await report(First(types, session, changes), plan, connected, asked)


anyio.run(main)
