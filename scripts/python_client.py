"""Drives a server of the HTTP API with the original's client library for Python, unmodified.

The library is told where the server is as the original's host tells it: by a JSON text with URLs.
Usage: python_client.py <url of the server>
"""

import asyncio
import json
import sys
import urllib.request
from datetime import datetime, timedelta, timezone

from azure.durable_functions import DurableOrchestrationClient, EntityId, OrchestrationRuntimeStatus
from azure.durable_functions.models.utils import http_utils

BASE = "/runtime/webhooks/durabletask"
Status = OrchestrationRuntimeStatus


def binding(url: str) -> str:
    """What the host gives to the library, made from the URLs that the server itself gives."""
    request = urllib.request.Request(f"{url}{BASE}/orchestrators/HelloCities/INSTANCEID", method="POST")
    with urllib.request.urlopen(request) as response:
        urls = json.load(response)
    assert urls["id"] == "INSTANCEID" and len(urls) == 9, urls
    create = f"{url}{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]"
    return json.dumps(
        {
            "taskHubName": "DurableFunctionsHub",
            "creationUrls": {
                "createNewInstancePostUri": create,
                "createAndWaitOnNewInstancePostUri": create
                + "?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}",
            },
            "managementUrls": urls,
            "baseUrl": f"{url}{BASE}",
            "requiredQueryStringParameters": "",
            "rpcBaseUrl": f"{url}{BASE}/",
        }
    )


async def until(client, instance, wanted):
    """Asks for the status until it is the one that is wanted."""
    for _ in range(200):
        status = await client.get_status(instance, show_input=True)
        if status.runtime_status == wanted:
            return status
        await asyncio.sleep(0.05)
    raise AssertionError(f"{instance} is {status.runtime_status} and not {wanted}")


async def fails(awaitable, text):
    """Awaits what must fail with this text."""
    try:
        await awaitable
    except Exception as error:  # the library raises nothing more precise
        assert text in str(error), f"{text!r} is not in {str(error)!r}"
    else:
        raise AssertionError(f"no error with {text!r}")


async def starting(client):
    assert await client.start_new("Chaining", "py-chain", "  new   york ") == "py-chain"
    status = await until(client, "py-chain", Status.Completed)
    assert status.output == "Hello New York!" and status.input_ == "  new   york ", status.to_json()
    assert status.name == "Chaining" and status.instance_id == "py-chain"
    # The server knows whole seconds.
    age = datetime.now(timezone.utc) - status.created_time
    assert timedelta(0) <= age < timedelta(minutes=1) and status.last_updated_time, age
    generated = await client.start_new("FanOutFanIn", client_input=[1, 2, 3])
    assert len(generated) == 32 and (await until(client, generated, Status.Completed)).output == 14
    job = {"jobId": "j", "looksUntilDone": 1}
    monitor = await client.start_new("MonitorJobStatus", client_input=job)
    assert (await until(client, monitor, Status.Completed)).output == "j is done"
    no_input = await client.start_new("HelloCities", version="1.0")
    assert len((await until(client, no_input, Status.Completed)).output) == 3
    await fails(client.start_new("Nothing"), "The function 'Nothing' doesn't exist")
    history = await client.get_status("py-chain", show_history=True, show_history_output=True)
    events = [event["EventType"] for event in history.historyEvents]
    assert events == ["ExecutionStarted"] + ["TaskCompleted"] * 3 + ["ExecutionCompleted"], events
    assert history.historyEvents[1]["FunctionName"] == "Clean"
    # What is not there is a status without anything in it.
    assert not await client.get_status("nothing")


async def lists(client):
    everything = await client.get_status_all()
    assert {"py-chain", "INSTANCEID"} <= {status.instance_id for status in everything}
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    found = await client.get_status_by(now - hour, now + hour, [Status.Completed], "py-")
    assert [status.instance_id for status in found] == ["py-chain"], found
    assert await client.get_status_by(now + hour, now + 2 * hour) == []
    assert await client.get_status_by(runtime_status=[Status.Failed, Status.Canceled]) == []


async def events(client):
    approval = await client.start_new("ApprovalWorkflow", None, {"subject": "a desk", "dueIn": 60})
    await fails(client.start_new("ApprovalWorkflow", approval), "already exists")
    await until(client, approval, Status.Running)
    await client.raise_event(approval, "ApprovalEvent", True)
    assert (await until(client, approval, Status.Completed)).output == "a desk: approved"
    await fails(client.raise_event(approval, "ApprovalEvent", True), "is gone")
    await fails(client.raise_event("nothing", "ApprovalEvent", True), "No instance with ID nothing")


async def waiting(client):
    quick = await client.start_new("Chaining", client_input="oslo")
    answer = await client.wait_for_completion_or_create_check_status_response(None, quick, 5000, 100)
    assert (answer.status_code, answer.get_body()) == (200, b"Hello Oslo!")
    slow = await client.start_new("DoWork", client_input=100)
    answer = await client.wait_for_completion_or_create_check_status_response(None, slow, 300, 100)
    assert answer.status_code == 202 and answer.headers["Location"].find(f"/instances/{slow}?") > 0
    payload = client.create_http_management_payload(slow)
    assert json.loads(answer.get_body()) == payload and payload["id"] == slow
    with urllib.request.urlopen(payload["statusQueryGetUri"]) as response:
        assert response.status == 202 and json.load(response)["instanceId"] == slow
    await client.terminate(slow, "too slow: & ends")
    assert (await until(client, slow, Status.Terminated)).output == "too slow: & ends"
    await client.terminate(slow, "again")
    await fails(client.terminate("nothing", "x"), "No instance with ID 'nothing'")


async def managing(client):
    work = await client.start_new("DoWork", client_input=2)
    await until(client, work, Status.Running)
    await client.suspend(work, "a break")
    await until(client, work, Status.Suspended)
    await client.resume(work, "go on")
    assert (await until(client, work, Status.Completed)).output == 2
    await fails(client.rewind(work, "x"), "only orchestrations in the")
    await fails(client.rewind("nothing", "x"), "No instance with ID nothing")

    failing = await client.start_new("FailsOnce", client_input="it")
    failed = await until(client, failing, Status.Failed)
    assert "does not work yet" in failed.output, failed.output
    await client.rewind(failing, "it works by now")
    assert (await until(client, failing, Status.Completed)).output == "it works"

    restarted = await client.restart("py-chain")
    assert restarted["id"] != "py-chain"
    await until(client, restarted["id"], Status.Completed)
    same = await client.restart("py-chain", restart_with_new_instance_id=False)
    assert same["id"] == "py-chain"
    await until(client, "py-chain", Status.Completed)


async def entities(client):
    clicks = EntityId("Counter", "py clicks")
    assert not (await client.read_entity_state(clicks)).entity_exists
    await client.signal_entity(clicks, "add", 5)
    await client.signal_entity(clicks, "add", 2)
    await client.signal_entity(clicks, "get")
    for _ in range(200):
        state = await client.read_entity_state(clicks)
        if state.entity_exists and state.entity_state == {"value": 7}:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError(state.entity_state)
    await client.signal_entity(clicks, "delete")
    for _ in range(200):
        if not (await client.read_entity_state(clicks)).entity_exists:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("it still exists")
    await fails(client.signal_entity(EntityId("Nothing", "a"), "add"), "status code 400")


async def purging(client):
    assert (await client.purge_instance_history("py-chain")).instances_deleted == 1
    assert (await client.purge_instance_history("py-chain")).instances_deleted == 0
    runs = await client.start_new("DoWork", client_input=100)
    await until(client, runs, Status.Running)
    await fails(client.purge_instance_history(runs), "status code 412")
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    purged = await client.purge_instance_history_by(now - hour, now + hour, [Status.Completed])
    assert purged.instances_deleted > 3, purged.instances_deleted
    purged = await client.purge_instance_history_by(now - hour, now + hour, [Status.Completed])
    assert purged.instances_deleted == 0
    await client.terminate(runs, "done")


async def main():
    client = DurableOrchestrationClient(binding(sys.argv[1]))
    for part in [starting, lists, events, waiting, managing, entities, purging]:
        await part(client)
        print(f"  {part.__name__}: as expected")
    await http_utils._close_session()


asyncio.run(main())
