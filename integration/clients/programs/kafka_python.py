"""kafka-python as a program: produce BOOTSTRAP TOPIC ACKS, or consume BOOTSTRAP TOPIC."""

import json
import logging
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

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


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
