"""The work of the feed `event_hub` with Microsoft's client for Python: each record of each message is an event on stdout, as
a modular input of Splunk writes it, and positions are saved in a file. For the benchmark; the argument is JSON.
"""

import json
import logging
import os
import sys
import threading
from datetime import datetime
from xml.sax.saxutils import escape

from azure.eventhub import EventHubConsumerClient

asked = json.loads(sys.argv[1])
lock = threading.Lock()
logging.disable(logging.CRITICAL)


def event(record):
    when = datetime.fromisoformat(record["properties"]["Timestamp"][:26].rstrip("Z") + "+00:00").timestamp()
    return (
        f"<event><time>{when:.6f}</time><source>defender:event_hub:{asked['hub']}</source>"
        f"<sourcetype>ms:defender:eventhub</sourcetype><data>{escape(json.dumps(record))}</data></event>\n"
    )


def save(partition, sequence):
    path = os.path.join(asked["folder"], f"position.{partition}")
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(str(sequence))
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def read(partition):
    def on_events(_, events):
        text = "".join(event(record) for one in events for record in json.loads(b"".join(one.body))["records"])
        with lock:
            sys.stdout.write(text)
            sys.stdout.flush()
        if events:
            save(partition, events[-1].sequence_number)

    client = EventHubConsumerClient.from_connection_string(
        asked["connection"] + ";UseDevelopmentEmulator=true", "$Default", eventhub_name=asked["hub"]
    )
    client.receive_batch(on_events, partition_id=partition, starting_position="-1", prefetch=1000, max_batch_size=300, max_wait_time=0.1)


print("<stream>", flush=True)
threads = [threading.Thread(target=read, args=(str(partition),)) for partition in range(asked["partitions"])]
for thread in threads:
    thread.start()
