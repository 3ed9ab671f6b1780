"""confluent-kafka (librdkafka) as a program: produce BOOTSTRAP TOPIC ACKS, consume BOOTSTRAP TOPIC, admin BOOTSTRAP, member
BOOTSTRAP GROUP PROTOCOL TOPIC [INSTANCE], copy BOOTSTRAP FROM TO COUNT GROUP ID, or committed BOOTSTRAP TOPIC END."""

import asyncio
import json
import sys
import threading

from confluent_kafka import (
    OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic, OffsetSpec)

import copying

CONFIG = {"reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100}


def produce(bootstrap, topic, acks):
    """Sends KEY TAB VALUE of each line, and prints what became of each record."""
    idempotent = acks == "idempotent"
    producer = Producer({
        **CONFIG,
        "bootstrap.servers": bootstrap,
        "enable.idempotence": idempotent,
        "acks": "all" if idempotent else acks,
        "linger.ms": 0,
        "batch.num.messages": 10,
        "retry.backoff.ms": 10,
    })
    done = threading.Event()

    def serve():
        while not done.is_set():
            producer.poll(0.05)

    server = threading.Thread(target=serve)
    server.start()

    def told(error, message):
        record = {"key": message.key().decode(), "value": message.value().decode()}
        record.update({"error": str(error)} if error else {"offset": message.offset()})
        print(json.dumps(record), flush=True)

    for line in sys.stdin:
        key, value = line.rstrip("\n").split("\t")
        producer.produce(topic, value, key, partition=0, on_delivery=told)
    producer.flush()
    done.set()
    server.join()


def consume(bootstrap, topic):
    """Prints the records of partition 0, up to the end it has now."""
    consumer = Consumer({
        **CONFIG, "bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    start, end = consumer.get_watermark_offsets(TopicPartition(topic, 0))
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    at = start
    while at < end:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            raise RuntimeError(message.error())
        at = message.offset() + 1
        print(json.dumps({
            "key": message.key().decode(), "value": message.value().decode(), "offset": message.offset()}))
    consumer.close()


def member(bootstrap, group, protocol, topic, instance=None):
    """Tells what it is given, what is taken from it and what it reads, and leaves at the end of its input."""
    config = {
        **CONFIG, "bootstrap.servers": bootstrap, "group.id": group, "group.protocol": protocol,
        "enable.auto.commit": False, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100,
        "topic.metadata.refresh.interval.ms": 200}
    if protocol == "classic":
        config["heartbeat.interval.ms"] = 100
        config["partition.assignment.strategy"] = "cooperative-sticky"
    if instance:
        config["group.instance.id"] = instance
    over = threading.Event()

    def read_input():
        sys.stdin.read()
        over.set()

    threading.Thread(target=read_input, daemon=True).start()

    def tell(event, what):
        print(json.dumps({"event": event, "what": what}), flush=True)

    def telling(event):
        return lambda _, partitions: tell(event, " ".join(sorted(f"{p.topic}-{p.partition}" for p in partitions)))

    consumer = Consumer(config)
    consumer.subscribe([topic], on_assign=telling("assigned"), on_revoke=telling("revoked"), on_lost=telling("lost"))
    while not over.is_set():
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            tell("failed", str(message.error()))
            continue
        tell("read", message.value().decode())
        try:
            consumer.commit(message, asynchronous=False)
        except KafkaException as e:
            tell("failed", str(e))
    consumer.close()


def partitions(topic, offset=OFFSET_BEGINNING):
    return [TopicPartition(topic, p, offset) for p in range(copying.PARTITIONS)]


def polled(consumer, seconds):
    """The records there are."""
    messages = consumer.consume(100, seconds)
    for m in messages:
        if m.error():
            raise KafkaException(m.error())
    return messages


class Copier(copying.Copier):
    def __init__(self, bootstrap, source, to, count, group, transactional_id):
        super().__init__(source, to, count, group)
        self.consumer = Consumer({
            **CONFIG, "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed", "fetch.wait.max.ms": 100})
        self.producer = Producer({
            **CONFIG, "bootstrap.servers": bootstrap, "transactional.id": transactional_id, "retry.backoff.ms": 10})
        self.refused = []

    @staticmethod
    def again(call, *args):
        """Calls until it takes effect: librdkafka leaves that to its users."""
        while True:
            try:
                return call(*args)
            except KafkaException as e:
                if not e.args[0].retriable():
                    raise

    async def start(self):
        self.again(self.producer.init_transactions, 10)

    async def stop(self):
        self.consumer.close()

    async def rewind(self):
        found = self.again(lambda: self.consumer.committed(partitions(self.source), 10))
        for p in found:
            p.offset = max(p.offset, 0)
        self.consumer.assign(found)
        return [p.offset for p in found]

    async def poll(self):
        return [(m.partition(), m.offset(), m.value()) for m in polled(self.consumer, 0.1)]

    async def begin(self):
        self.refused = []
        self.producer.begin_transaction()

    async def send(self, partition, value):
        def told(error, _):
            if error:
                self.refused.append(error)

        self.producer.produce(self.to, value, partition=partition, on_delivery=told)

    async def flush(self):
        self.producer.flush()
        if self.refused:
            raise KafkaException(self.refused[0])

    async def send_offsets(self, offsets):
        self.again(
            self.producer.send_offsets_to_transaction, [TopicPartition(self.source, p, o) for p, o in offsets.items()],
            self.consumer.consumer_group_metadata(), 10)

    async def commit(self):
        self.again(self.producer.commit_transaction, 10)

    async def abort(self):
        self.again(self.producer.abort_transaction, 10)

    def fenced(self, error):
        codes = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
        return isinstance(error, KafkaException) and error.args[0].code() in codes


def copy(*args):
    asyncio.run(Copier(*args).run())


def committed(bootstrap, topic, end):
    """Prints the committed records of all partitions, up to one with the value END in each."""
    consumer = Consumer({
        **CONFIG, "bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False,
        "isolation.level": "read_committed"})
    consumer.assign(partitions(topic))
    ends = 0
    while ends < copying.PARTITIONS:
        for m in polled(consumer, 1):
            copying.tell(m.partition(), m.value().decode())
            ends += m.value().decode() == end
    consumer.close()


class Admin:
    """One method for each word that a line may start with; it returns what is told."""

    def __init__(self, bootstrap):
        self.client = AdminClient({**CONFIG, "bootstrap.servers": bootstrap})

    def cluster(self):
        told = self.client.describe_cluster().result()
        return told.cluster_id + " " + ",".join(sorted(str(n.id) for n in told.nodes))

    def topics(self):
        return ",".join(sorted(self.client.list_topics().topics))

    def create(self, name, partitions, replicas, *configs):
        topic = NewTopic(name, int(partitions), int(replicas), config=dict(c.split("=") for c in configs))
        return only(self.client.create_topics([topic]))

    def topic(self, name):
        told = only(self.client.describe_topics(TopicCollection([name])))
        return " ".join(f"{p.id}:{len(p.replicas)}/{len(p.isr)}" for p in told.partitions)

    def config(self, kind, name, key):
        entry = only(self.client.describe_configs([ConfigResource(kind, name)]))[key]
        return f"{entry.value} {ConfigSource(entry.source).name}"

    def alter(self, topic, config):
        name, value = config.split("=")
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        return only(self.client.incremental_alter_configs([
            ConfigResource("topic", topic, incremental_configs=[entry])]))

    def partitions(self, name, count):
        return only(self.client.create_partitions([NewPartitions(name, int(count))]))

    def offsets(self, topic):
        partition = TopicPartition(topic, 0)
        ends = [only(self.client.list_offsets({partition: spec}))
                for spec in (OffsetSpec.earliest(), OffsetSpec.latest())]
        return " ".join(str(e.offset) for e in ends)

    def trim(self, topic, offset):
        return str(only(self.client.delete_records([TopicPartition(topic, 0, int(offset))])).low_watermark)

    def delete(self, name):
        return only(self.client.delete_topics([name]))


def only(futures):
    """The result of the one future there is."""
    (future,) = futures.values()
    return future.result()


def admin(bootstrap):
    """Does what each line asks for, and prints the answer or Kafka's error code."""
    client = Admin(bootstrap)
    for line in sys.stdin:
        word, *args = line.split()
        try:
            result = getattr(client, word)(*args) or "ok"
        except KafkaException as e:
            result = f"error {e.args[0].code()}"
        print(json.dumps({"result": result}), flush=True)


if __name__ == "__main__":
    commands = {
        "produce": produce, "consume": consume, "admin": admin, "member": member, "copy": copy, "committed": committed}
    commands[sys.argv[1]](*sys.argv[2:])
