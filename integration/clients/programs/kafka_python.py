"""kafka-python as a program: produce BOOTSTRAP TOPIC ACKS, consume BOOTSTRAP TOPIC, or member BOOTSTRAP GROUP classic TOPIC
[INSTANCE]."""

import json
import logging
import sys
import threading

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

logging.basicConfig(level=logging.WARNING)

CONFIG = {"reconnect_backoff_ms": 10, "reconnect_backoff_max_ms": 100, "retry_backoff_ms": 10}


def produce(bootstrap, topic, acks):
    """Sends KEY TAB VALUE of each line, and prints what became of each record."""
    idempotent = acks == "idempotent"
    producer = KafkaProducer(
        **CONFIG,
        bootstrap_servers=bootstrap.split(","),
        enable_idempotence=idempotent,
        acks="all" if idempotent or acks == "all" else int(acks),
        batch_size=300,
    )

    for line in sys.stdin:
        key, value = line.rstrip("\n").split("\t")

        def told(meta=None, error=None, key=key, value=value):
            outcome = {"error": repr(error)} if error else {"offset": meta.offset}
            # One write a line: callbacks come from several threads.
            sys.stdout.write(json.dumps({"key": key, "value": value, **outcome}) + "\n")
            sys.stdout.flush()

        future = producer.send(topic, value.encode(), key.encode(), partition=0)
        future.add_callback(told)
        future.add_errback(lambda error, told=told: told(error=error))
    producer.flush()
    producer.close()


def consume(bootstrap, topic):
    """Prints the records of partition 0, up to the end it has now."""
    consumer = KafkaConsumer(
        **CONFIG, bootstrap_servers=bootstrap.split(","), enable_auto_commit=False, auto_offset_reset="earliest")
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = consumer.end_offsets([partition])[partition]
    consumer.seek_to_beginning(partition)
    while consumer.position(partition) < end:
        for records in consumer.poll(timeout_ms=1000).values():
            for r in records:
                print(json.dumps({"key": r.key.decode(), "value": r.value.decode(), "offset": r.offset}))
    consumer.close()


def tell(event, what):
    sys.stdout.write(json.dumps({"event": event, "what": what}) + "\n")
    sys.stdout.flush()


class Listener(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        tell("assigned", " ".join(sorted(f"{p.topic}-{p.partition}" for p in assigned)))

    def on_partitions_revoked(self, revoked):
        tell("revoked", " ".join(sorted(f"{p.topic}-{p.partition}" for p in revoked)))


def member(bootstrap, group, _, topic, instance=None):
    """Tells what it is given, what is taken from it and what it reads, and leaves at the end of its input."""
    consumer = KafkaConsumer(
        **CONFIG, bootstrap_servers=bootstrap.split(","), group_id=group, group_instance_id=instance,
        enable_auto_commit=False, auto_offset_reset="earliest", heartbeat_interval_ms=100, fetch_max_wait_ms=100,
        metadata_max_age_ms=200)
    over = threading.Event()

    def read_input():
        sys.stdin.read()
        over.set()

    threading.Thread(target=read_input, daemon=True).start()
    consumer.subscribe([topic], listener=Listener())
    while not over.is_set():
        records = consumer.poll(timeout_ms=100)
        for batch in records.values():
            for r in batch:
                tell("read", r.value.decode())
        if records:
            try:
                consumer.commit()
            except KafkaError as e:
                tell("failed", repr(e))
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume, "member": member}[sys.argv[1]](*sys.argv[2:])
