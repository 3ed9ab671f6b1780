"""kafka-python as a program: produce BOOTSTRAP TOPIC ACKS, consume BOOTSTRAP TOPIC, member BOOTSTRAP GROUP classic TOPIC
[INSTANCE], copy BOOTSTRAP FROM TO COUNT GROUP ID, or committed BOOTSTRAP TOPIC END."""

import asyncio
import json
import logging
import sys
import threading

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata

import copying

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
    # A member that leads its group's first rebalance without metadata assigns nothing, and may read nothing from then on.
    consumer.partitions_for_topic(topic)
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


def committed_consumer(bootstrap, group):
    return KafkaConsumer(
        **CONFIG, bootstrap_servers=bootstrap.split(","), group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest", isolation_level="read_committed", fetch_max_wait_ms=100)


def partitions(topic):
    return [TopicPartition(topic, p) for p in range(copying.PARTITIONS)]


class Copier(copying.Copier):
    def __init__(self, bootstrap, source, to, count, group, transactional_id):
        super().__init__(source, to, count, group)
        self.bootstrap, self.consumer = bootstrap, None
        self.producer = KafkaProducer(
            **CONFIG, bootstrap_servers=bootstrap.split(","), transactional_id=transactional_id)
        self.sent = []

    async def start(self):
        self.producer.init_transactions()

    async def stop(self):
        self.consumer.close()
        self.producer.close()

    async def rewind(self):
        if self.consumer:
            self.consumer.close()
        self.consumer = committed_consumer(self.bootstrap, self.group)
        self.consumer.assign(partitions(self.source))
        return [self.consumer.position(p) for p in partitions(self.source)]

    async def poll(self):
        batches = self.consumer.poll(timeout_ms=100).values()
        return [(r.partition, r.offset, r.value) for batch in batches for r in batch]

    async def begin(self):
        self.sent = []
        self.producer.begin_transaction()

    async def send(self, partition, value):
        self.sent.append(self.producer.send(self.to, value, partition=partition))

    async def flush(self):
        self.producer.flush()
        for future in self.sent:
            future.get(0)

    async def send_offsets(self, offsets):
        self.producer.send_offsets_to_transaction(
            {TopicPartition(self.source, p): OffsetAndMetadata(o, "", -1) for p, o in offsets.items()},
            self.consumer.group_metadata())

    async def commit(self):
        self.producer.commit_transaction()

    async def abort(self):
        self.producer.abort_transaction()

    def fenced(self, error):
        return isinstance(error, (ProducerFencedError, InvalidProducerEpochError))


def copy(*args):
    asyncio.run(Copier(*args).run())


def committed(bootstrap, topic, end):
    """Prints the committed records of all partitions, up to one with the value END in each."""
    consumer = committed_consumer(bootstrap, None)
    consumer.assign(partitions(topic))
    ends = 0
    while ends < copying.PARTITIONS:
        for batch in consumer.poll(timeout_ms=1000).values():
            for r in batch:
                copying.tell(r.partition, r.value.decode())
                ends += r.value.decode() == end
    consumer.close()


if __name__ == "__main__":
    commands = {"produce": produce, "consume": consume, "member": member, "copy": copy, "committed": committed}
    commands[sys.argv[1]](*sys.argv[2:])
