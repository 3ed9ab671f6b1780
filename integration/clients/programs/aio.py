"""aiokafka as a program: produce BOOTSTRAP TOPIC ACKS, consume BOOTSTRAP TOPIC, or member BOOTSTRAP GROUP classic TOPIC
[INSTANCE]."""

import asyncio
import json
import logging
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

logging.basicConfig(level=logging.WARNING)


async def produce(bootstrap, topic, acks):
    """Sends KEY TAB VALUE of each line, and prints what became of each record."""
    idempotent = acks == "idempotent"
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=idempotent,
        acks="all" if idempotent or acks == "all" else int(acks),
        max_batch_size=300,
        retry_backoff_ms=10,
    )
    await producer.start()
    told = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        key, value = line.rstrip("\n").split("\t")
        answer = await producer.send(topic, value.encode(), key.encode(), partition=0)
        told.append(asyncio.create_task(tell(key, value, answer)))
    await producer.stop()
    await asyncio.gather(*told)


async def tell(key, value, answer):
    try:
        outcome = {"offset": (await answer).offset}
    except Exception as e:
        outcome = {"error": repr(e)}
    print(json.dumps({"key": key, "value": value, **outcome}), flush=True)


async def consume(bootstrap, topic):
    """Prints the records of partition 0, up to the end it has now."""
    # By default it moves to the end on its own, and may do so after the seek.
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    await consumer.seek_to_beginning(partition)
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for r in records:
                print(json.dumps({"key": r.key.decode(), "value": r.value.decode(), "offset": r.offset}))
    await consumer.stop()


def happens(event, what):
    print(json.dumps({"event": event, "what": what}), flush=True)


class Listener(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        happens("assigned", " ".join(sorted(f"{p.topic}-{p.partition}" for p in assigned)))

    def on_partitions_revoked(self, revoked):
        happens("revoked", " ".join(sorted(f"{p.topic}-{p.partition}" for p in revoked)))


async def member(bootstrap, group, _, topic, instance=None):
    """Tells what it is given, what is taken from it and what it reads, and leaves at the end of its input."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, group_instance_id=instance, enable_auto_commit=False,
        auto_offset_reset="earliest", heartbeat_interval_ms=100, fetch_max_wait_ms=100, metadata_max_age_ms=200,
        retry_backoff_ms=10)
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not over.done():
        records = await consumer.getmany(timeout_ms=100)
        for batch in records.values():
            for r in batch:
                happens("read", r.value.decode())
        if records:
            try:
                await consumer.commit()
            except KafkaError as e:
                happens("failed", repr(e))
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run({"produce": produce, "consume": consume, "member": member}[sys.argv[1]](*sys.argv[2:]))
