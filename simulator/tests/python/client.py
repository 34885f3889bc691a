"""Microsoft's client against the stand-in of Event Hubs.

One JSON object as the only argument says what to do; what happened is printed, one JSON object a line.
"""

import hashlib
import json
import logging
import os
import sys
import threading
import time

from azure.core.credentials import AccessToken
from azure.eventhub import EventHubConsumerClient, TransportType

asked = json.loads(sys.argv[1])
lock = threading.Lock()
if "EVENT_HUBS_LOG" in os.environ:
    logging.basicConfig(stream=sys.stderr, level=logging.DEBUG)
else:
    logging.disable(logging.CRITICAL)


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


class Token:
    """An Entra token that somebody else has asked for."""

    def __init__(self, text, life):
        self.text, self.life = text, life

    def get_token(self, *scopes, **_):
        say(scopes=scopes)
        return AccessToken(self.text, int(time.time()) + self.life)


def client():
    options = {"logging_enable": "EVENT_HUBS_LOG" in os.environ, "retry_total": asked.get("retries", 3), "retry_backoff_factor": 0.05, "auth_timeout": 10}
    if asked.get("trust"):
        options["connection_verify"] = asked["trust"]
        options["custom_endpoint_address"] = f"sb://{asked['endpoint']}"
        options["transport_type"] = TransportType.AmqpOverWebsocket if asked.get("websocket") else TransportType.Amqp
    else:
        options["use_tls"] = False
    group = asked.get("group", "$Default")
    if asked.get("connection"):
        del options["use_tls"]
        text = asked["connection"] + ";UseDevelopmentEmulator=true"
        return EventHubConsumerClient.from_connection_string(text, group, eventhub_name=asked["hub"], **options)
    token = Token(asked["token"], asked.get("life", 3599))
    return EventHubConsumerClient(asked["namespace"], asked["hub"], group, credential=token, **options)


def properties():
    with client() as hub:
        found = hub.get_eventhub_properties()
        say(hub=found["eventhub_name"], created=found["created_at"].timestamp(), partitions=found["partition_ids"])
        for partition in found["partition_ids"]:
            one = hub.get_partition_properties(partition)
            say(
                partition=one["id"],
                first=one["beginning_sequence_number"],
                last=one["last_enqueued_sequence_number"],
                offset=one["last_enqueued_offset"],
                empty=one["is_empty"],
            )


def receive():
    """Receives from one partition until there are so many events, or an error that the client does not get over."""
    hub = client()
    seen = []
    quiet = asked.get("quiet", False)

    def on_event(context, event):
        if event is None:
            return
        body = b"".join(event.body)
        seen.append(event.sequence_number)
        if not quiet:
            last = context.last_enqueued_event_properties if asked.get("metrics") else None
            say(
                partition=context.partition_id,
                sequence=event.sequence_number,
                offset=event.offset,
                enqueued=int(event.enqueued_time.timestamp() * 1000),
                length=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
                last=last and last["sequence_number"],
            )
        if len(seen) >= asked["count"]:
            threading.Thread(target=hub.close).start()

    def on_error(context, error):
        say(error=type(error).__name__, condition=str(getattr(error, "error", None) or ""), message=str(error)[:300])
        threading.Thread(target=hub.close).start()

    start = time.perf_counter()
    cpu = time.process_time()
    hub.receive(
        on_event=on_event,
        on_error=on_error,
        partition_id=asked.get("partition", "0"),
        starting_position=asked.get("start", "-1"),
        starting_position_inclusive=asked.get("inclusive", False),
        owner_level=asked.get("owner_level"),
        prefetch=asked.get("prefetch", 300),
        track_last_enqueued_event_properties=asked.get("metrics", False),
    )
    say(received=len(seen), seconds=time.perf_counter() - start, cpu=time.process_time() - cpu)


{"properties": properties, "receive": receive}[asked["do"]]()
