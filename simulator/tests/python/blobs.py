"""The work of the feed `storage` with Microsoft's client for Python: each line of each blob is an event on stdout, as a
modular input of Splunk writes it, and how far each blob was read is saved in a file. For the benchmark; the argument is JSON.
"""

import json
import logging
import os
import sys
from datetime import datetime
from xml.sax.saxutils import escape

from azure.storage.blob import BlobServiceClient

asked = json.loads(sys.argv[1])
logging.disable(logging.CRITICAL)
position = {}


def event(line):
    # The record itself stays as it was sent.
    when = datetime.fromisoformat(json.loads(line)["properties"]["Timestamp"][:26].rstrip("Z") + "+00:00").timestamp()
    return (
        f"<event><time>{when:.6f}</time><source>defender:storage</source>"
        f"<sourcetype>ms:defender:eventhub</sourcetype><data>{escape(line)}</data></event>\n"
    )


def save():
    with open(asked["position"] + ".new", "w", encoding="ascii") as file:
        json.dump(position, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(asked["position"] + ".new", asked["position"])


print("<stream>", flush=True)
account = BlobServiceClient(asked["url"], credential=asked["signature"])
for container in account.list_containers(name_starts_with="insights-logs-advancedhunting-"):
    client = account.get_container_client(container.name)
    for blob in client.list_blobs():
        text = client.download_blob(blob.name).readall().decode("utf-8")
        sys.stdout.write("".join(event(line) for line in text.splitlines() if line))
        sys.stdout.flush()
        position[f"{container.name}/{blob.name}"] = blob.size
    save()
print("</stream>", flush=True)
