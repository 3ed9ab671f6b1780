"""aiokafka as a program: produce BOOTSTRAP TOPIC ACKS, or consume BOOTSTRAP TOPIC."""

import asyncio
import json
import logging
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

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


if __name__ == "__main__":
    asyncio.run({"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:]))
