"""aiokafka as a program: produce BOOTSTRAP TOPIC ACKS, consume BOOTSTRAP TOPIC, member BOOTSTRAP GROUP classic TOPIC
[INSTANCE], copy BOOTSTRAP FROM TO COUNT GROUP ID, or committed BOOTSTRAP TOPIC END."""

import asyncio
import json
import logging
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

import copying

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


async def committed_consumer(bootstrap, group, topic):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed", fetch_max_wait_ms=100, retry_backoff_ms=10)
    await consumer.start()
    consumer.assign(partitions(topic))
    return consumer


def partitions(topic):
    return [TopicPartition(topic, p) for p in range(copying.PARTITIONS)]


class Copier(copying.Copier):
    def __init__(self, bootstrap, source, to, count, group, transactional_id):
        super().__init__(source, to, count, group)
        self.bootstrap, self.consumer = bootstrap, None
        self.producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, transactional_id=transactional_id, retry_backoff_ms=10)
        self.sent = []

    async def start(self):
        await self.producer.start()

    async def stop(self):
        await self.consumer.stop()
        await self.producer.stop()

    async def rewind(self):
        if self.consumer:
            await self.consumer.stop()
        self.consumer = await committed_consumer(self.bootstrap, self.group, self.source)
        return [await self.consumer.position(p) for p in partitions(self.source)]

    async def poll(self):
        batches = (await self.consumer.getmany(timeout_ms=100)).values()
        return [(r.partition, r.offset, r.value) for batch in batches for r in batch]

    async def begin(self):
        self.sent = []
        await self.producer.begin_transaction()

    async def send(self, partition, value):
        self.sent.append(await self.producer.send(self.to, value, partition=partition))

    async def flush(self):
        await asyncio.gather(*self.sent)

    async def send_offsets(self, offsets):
        await self.producer.send_offsets_to_transaction(
            {TopicPartition(self.source, p): o for p, o in offsets.items()}, self.group)

    async def commit(self):
        await self.producer.commit_transaction()

    async def abort(self):
        await self.producer.abort_transaction()

    def fenced(self, error):
        return isinstance(error, (ProducerFenced, InvalidProducerEpoch))


async def copy(*args):
    await Copier(*args).run()


async def committed(bootstrap, topic, end):
    """Prints the committed records of all partitions, up to one with the value END in each."""
    consumer = await committed_consumer(bootstrap, None, topic)
    ends = 0
    while ends < copying.PARTITIONS:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            for r in batch:
                copying.tell(r.partition, r.value.decode())
                ends += r.value.decode() == end
    await consumer.stop()


if __name__ == "__main__":
    commands = {"produce": produce, "consume": consume, "member": member, "copy": copy, "committed": committed}
    asyncio.run(commands[sys.argv[1]](*sys.argv[2:]))
