"""Take verdicts from a broker: mqtt_consumer.py HOST PORT TOPIC, the TOPIC of `clipspect watch` or `line` (paho-mqtt).

Each record is acted on, and the broker keeps those that come while this program is away: the session has a name.
"""

import json
import sys
from collections import deque

import paho.mqtt.client as mqtt


class Consumer:
    """Remembers the ids of the last records: after a lost connection a record can come twice."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.seen: deque[str] = deque(maxlen=10_000)

    def on_connect(self, client: mqtt.Client, *_: object) -> None:
        # TOPIC/result of `watch`; TOPIC/NAME/result of each source of `line`; TOPIC/status of both
        client.subscribe([(f"{self.topic}/{name}", 1) for name in ("result", "+/result", "status")])

    def on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        document = json.loads(message.payload)
        if message.topic.endswith("/status"):
            print("status", document["status"], *document["problems"], flush=True)
        elif document["id"] not in self.seen:
            self.act(document)
            self.seen.append(document["id"])
        client.ack(message.mid, message.qos)  # only now: what a killed program had not acted on comes again

    def act(self, record: dict) -> None:
        """Here the part is rejected, the order is counted, the line is stopped. docs/records.md has all keys."""
        verdict = record["verdict"] if record["error"] is None else "error"
        print("record", record["item"]["name"], verdict, flush=True)


def main(host: str, port: str, topic: str) -> None:
    consumer = Consumer(topic)
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=f"consumer of {topic}", clean_session=False, manual_ack=True
    )
    client.on_connect, client.on_message = consumer.on_connect, consumer.on_message
    client.connect(host, int(port))
    client.loop_forever()  # connects again by itself


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
