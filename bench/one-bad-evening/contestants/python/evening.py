"""The same plain program in Python: pymodbus reads, a comparison, sqlite3 keeps, paho publishes and queues in memory."""

import json
import os
import select
import sqlite3
import struct
import sys
import time
from datetime import datetime, timedelta, timezone

import paho.mqtt.client as mqtt
from pymodbus.client import ModbusTcpClient


def given(name):
    return os.environ["EVENING_" + name]


POLL_S = float(given("POLL_MS")) / 1000
TIMEOUT_S = float(given("TIMEOUT_MS")) / 1000
PICKUP_A = float(given("PICKUP_A"))
DROPOUT_A = float(given("DROPOUT_A"))
LEASE = timedelta(seconds=float(given("LEASE_S")))

database = sqlite3.connect(os.path.join(given("FOLDER"), "outbox.db"), isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA synchronous = FULL")
database.execute("CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, body TEXT)")

broker = mqtt.Client(protocol=mqtt.MQTTv5)
broker.reconnect_delay_set(1, 10)
broker.max_queued_messages_set(0)
broker.connect_async("127.0.0.1", int(given("BROKER")))
broker.loop_start()


class Feeder:
    def __init__(self, name, port):
        self.name = name
        self.limited = False
        self.meter = ModbusTcpClient("127.0.0.1", port=port, retries=0)
        # The constructor of Debian's version cuts it to whole seconds.
        self.meter.params.timeout = TIMEOUT_S


def stamp(when):
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def say(feeder, current_a):
    global sequence
    sequence += 1
    at = datetime.now(timezone.utc)
    body = json.dumps(
        {
            "id": f"python-{sequence}",
            "sequence": sequence,
            "feeder": feeder.name,
            "action": "limit" if feeder.limited else "release",
            "currentA": round(current_a, 2),
            "at": stamp(at),
            "validUntil": stamp(at + LEASE),
        }
    )
    database.execute("INSERT INTO outbox (body) VALUES (?)", (body,))
    broker.publish(f"evening/{feeder.name}/request", body, qos=1)


def read(feeder):
    answer = feeder.meter.read_input_registers(6, 6, slave=1)
    if answer.isError():
        raise RuntimeError(str(answer))
    current_a = max(struct.unpack(">3f", struct.pack(">6H", *answer.registers)))
    wanted = current_a >= DROPOUT_A if feeder.limited else current_a >= PICKUP_A
    if wanted != feeder.limited:
        feeder.limited = wanted
        say(feeder, current_a)


sequence = int(time.time() * 1000)
feeders = [Feeder(f"F{index + 1}", int(port)) for index, port in enumerate(given("METERS").split(","))]
next_s = time.monotonic()
while True:
    for one in feeders:
        try:
            read(one)
        except Exception as error:  # a meter that fails must not end the others
            print(one.name, error, file=sys.stderr)
            one.meter.close()
    next_s = max(next_s + POLL_S, time.monotonic() - POLL_S)
    # time.sleep waits for a moment of the monotonic clock, which libfaketime gets wrong.
    select.select([], [], [], max(0, next_s - time.monotonic()))
