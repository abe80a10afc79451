"""A small server of both eras on the official Python SDK, version 2.

`@modelcontextprotocol/server-everything` speaks the older era only. This one has tools of the same names and answers,
so that one scenario and one policy serve both: it is driven in revision 2026-07-28 as well as by initialize.
The port is in PORT.
"""

import asyncio
import json
import os
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample
from mcp_types import Completion, CreateMessageResult, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel

server = MCPServer("python", version="1.0.0")
reads = ToolAnnotations(read_only_hint=True)


@server.tool(title="Echo Tool", annotations=reads, structured_output=False)
def echo(message: str) -> str:
    """Echoes back the input string"""
    return f"Echo: {message}"


@server.tool("get-sum", annotations=reads, structured_output=False)
def get_sum(a: int, b: int) -> str:
    """Returns the sum of two numbers"""
    return f"The sum of {a} and {b} is {a + b}."


class Weather(BaseModel):
    temperature: int
    conditions: str
    humidity: int


@server.tool("get-structured-content", annotations=reads)
def weather(location: str) -> Weather:
    """Returns structured content along with an output schema"""
    return Weather(temperature=36, conditions=f"Light rain in {location}", humidity=82)


@server.tool("get-env", annotations=reads, structured_output=False)
def environment() -> str:
    """Returns all environment variables"""
    return json.dumps(dict(os.environ), indent=2)


@server.tool("get-tiny-image", annotations=reads, structured_output=False)
def tiny() -> str:
    """Stands where the other server returns a picture"""
    return "a tiny image"


@server.tool("toggle-simulated-logging", structured_output=False)
def toggle() -> str:
    """Stands where the other server starts to log"""
    return "toggled"


@server.tool("trigger-long-running-operation", annotations=reads, structured_output=False)
async def long_running(ctx: Context, duration: float = 10, steps: int = 5) -> str:
    """Demonstrates a long running operation with progress updates"""
    for step in range(1, steps + 1):
        await asyncio.sleep(duration / steps)
        await ctx.report_progress(step, steps)
    return f"Long running operation completed. Duration: {duration} seconds, Steps: {steps}."


class Name(BaseModel):
    name: str


async def ask_name() -> Elicit[Name]:
    return Elicit("Please provide inputs for the following fields:", Name)


@server.tool("trigger-elicitation-request", structured_output=False)
async def elicit(name: Annotated[Name, Resolve(ask_name)]) -> str:
    """Asks the user for a name"""
    return f"User inputs: {name.name}"


async def ask_model(prompt: str) -> Sample:
    words = TextContent(type="text", text=f"Resource trigger-sampling-request context: {prompt}")
    return Sample([SamplingMessage(role="user", content=words)], max_tokens=10)


@server.tool("trigger-sampling-request", structured_output=False)
async def sample(prompt: str, answer: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
    """Asks the client's model"""
    return f"LLM sampling result: {answer.content.text}"


@server.tool("trigger-list-changed", annotations=reads, structured_output=False)
async def announce(ctx: Context) -> str:
    """Says that the list of tools has changed"""
    if ctx.protocol_version >= "2026":
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "announced"


@server.resource("demo://resource/static/document/architecture.md", name="architecture.md", mime_type="text/markdown")
def architecture() -> str:
    """A document"""
    return "# Architecture\n\nOne server, both eras."


@server.resource("demo://resource/dynamic/text/{resourceId}", name="Dynamic Text Resource", mime_type="text/plain")
def dynamic(resourceId: str) -> str:
    """A document made on the spot"""
    return f"Resource {resourceId}"


@server.prompt("simple-prompt")
def simple() -> str:
    """A prompt with no arguments"""
    return "This is a simple prompt without arguments."


@server.prompt("completable-prompt")
def completable(department: str) -> str:
    """A prompt whose argument can be completed"""
    return f"Promote somebody in {department}."


@server.completion()
async def complete(_ref, argument, _context):
    known = ["Engineering", "Sales", "Marketing", "Support"]
    return Completion(values=[name for name in known if name.startswith(argument.value)])


server.run("streamable-http", port=int(os.environ["PORT"]))
