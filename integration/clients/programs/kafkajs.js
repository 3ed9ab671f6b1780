// kafkajs as a program: produce BOOTSTRAP TOPIC ACKS, admin BOOTSTRAP, member BOOTSTRAP GROUP classic TOPIC, copy BOOTSTRAP
// FROM TO COUNT GROUP ID, or committed BOOTSTRAP TOPIC END.
'use strict'

const readline = require('node:readline')
const { Kafka, ConfigResourceTypes } = require('kafkajs')

const perBatch = 10

const print = object => process.stdout.write(JSON.stringify(object) + '\n')

function connect(bootstrap, retries) {
  return new Kafka({
    brokers: bootstrap.split(','),
    retry: { initialRetryTime: 10, maxRetryTime: 200, retries },
    logCreator: () => entry => console.error(entry.label, entry.namespace, JSON.stringify(entry.log)),
  })
}

// Sends KEY TAB VALUE of each line, a few in a batch and a batch at a time, and prints what became of each record.
async function produce(bootstrap, topic, acks) {
  const idempotent = acks === 'idempotent'
  const producer = connect(bootstrap, 1000).producer({ idempotent, maxInFlightRequests: 1, allowAutoTopicCreation: false })
  await producer.connect()
  const queue = []
  let ended = false
  let wake = () => {}
  readline.createInterface({ input: process.stdin })
    .on('line', line => { queue.push(line.split('\t')); wake() })
    .on('close', () => { ended = true; wake() })
  while (true) {
    if (queue.length === 0) {
      if (ended) break
      await new Promise(resolve => { wake = resolve })
      continue
    }
    const messages = queue.splice(0, perBatch).map(([key, value]) => ({ key, value, partition: 0 }))
    try {
      const [told] = await producer.send({ topic, acks: idempotent || acks === 'all' ? -1 : Number(acks), messages })
      messages.forEach(({ key, value }, i) => print({ key, value, offset: Number(told.baseOffset) + i }))
    } catch (e) {
      messages.forEach(({ key, value }) => print({ key, value, error: String(e) }))
    }
  }
  await producer.disconnect()
}

const words = {
  async cluster(admin) {
    const told = await admin.describeCluster()
    return told.clusterId + ' ' + told.brokers.map(b => b.nodeId).sort().join(',')
  },
  topics: async admin => (await admin.listTopics()).sort().join(','),
  async create(admin, topic, partitions, replicas, ...configs) {
    const configEntries = configs.map(c => c.split('=')).map(([name, value]) => ({ name, value }))
    const spec = { topic, numPartitions: Number(partitions), replicationFactor: Number(replicas), configEntries }
    return await admin.createTopics({ topics: [spec] }) ? 'ok' : 'error 36' // It answers false when there is such a topic.
  },
  async topic(admin, name) {
    const { topics: [told] } = await admin.fetchTopicMetadata({ topics: [name] })
    return told.partitions.sort((a, b) => a.partitionId - b.partitionId)
      .map(p => `${p.partitionId}:${p.replicas.length}/${p.isr.length}`).join(' ')
  },
  async config(admin, kind, name, key) {
    const type = ConfigResourceTypes[kind.toUpperCase()]
    const told = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name, configNames: [key] }] })
    const [entry] = told.resources[0].configEntries
    const sources = { 1: 'DYNAMIC_TOPIC_CONFIG', 4: 'STATIC_BROKER_CONFIG', 5: 'DEFAULT_CONFIG' }
    return `${entry.configValue} ${sources[entry.configSource]}`
  },
  // It has only the request that replaces all configs, so those that are set are sent again.
  async alter(admin, name, config) {
    const type = ConfigResourceTypes.TOPIC
    const { resources: [told] } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type, name }] })
    const all = new Map(told.configEntries.filter(e => e.configSource === 1).map(e => [e.configName, e.configValue]))
    all.set(...config.split('='))
    const configEntries = [...all].map(([name, value]) => ({ name, value }))
    await admin.alterConfigs({ validateOnly: false, resources: [{ type, name, configEntries }] })
  },
  async partitions(admin, topic, count) {
    await admin.createPartitions({ topicPartitions: [{ topic, count: Number(count) }] })
  },
  async offsets(admin, topic) {
    const [told] = await admin.fetchTopicOffsets(topic)
    return `${told.low} ${told.high}`
  },
  async trim(admin, topic, offset) {
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
    return offset // It does not tell the low watermark.
  },
  async delete(admin, name) {
    await admin.deleteTopics({ topics: [name] })
  },
}

// The code of an error, of its cause, or of the first of those in it.
function code(e) {
  if (e.code !== undefined) return e.code
  const inner = e.cause ?? e.errors?.[0] ?? e.partitions?.find(p => p.error).error
  return inner ? code(inner) : String(e)
}

// Does what each line asks for, and prints the answer or Kafka's error code.
async function admin(bootstrap) {
  const client = connect(bootstrap, 3).admin() // It tries again to delete a topic that is not there, too.
  await client.connect()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, ...args] = line.split(' ')
    let result
    try {
      result = await words[word](client, ...args) ?? 'ok'
    } catch (e) {
      console.error(e)
      result = 'error ' + code(e)
    }
    print({ result })
  }
  await client.disconnect()
}

// Tells what it is given and what it reads, and leaves at the end of its input.
async function member(bootstrap, groupId, protocol, topic) {
  const tell = (event, what) => print({ event, what })
  const consumer = connect(bootstrap, 1000).consumer({
    groupId, heartbeatInterval: 100, sessionTimeout: 6000, rebalanceTimeout: 6000, maxWaitTimeInMs: 100, metadataMaxAge: 200,
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberAssignment } }) => {
    tell('assigned', Object.entries(memberAssignment).flatMap(([t, ps]) => ps.map(p => `${t}-${p}`)).sort().join(' '))
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      tell('read', message.value.toString())
      try {
        await consumer.commitOffsets([{ topic, partition, offset: String(Number(message.offset) + 1) }])
      } catch (e) {
        tell('failed', String(e))
      }
    },
  })
  process.stdin.resume()
  await new Promise(resolve => process.stdin.on('end', resolve))
  await consumer.disconnect()
}

const copyPartitions = 2

// Reads a topic with read_committed from its start: kafkajs does so as a member of a group only.
async function readCommitted(bootstrap, groupId, topic, handle) {
  const consumer = connect(bootstrap, 1000).consumer({ groupId, maxWaitTimeInMs: 100, readUncommitted: false })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ autoCommit: false, eachMessage: async ({ partition, message }) => handle(partition, message) })
  return consumer
}

// Copies records in transactions. What it reads it keeps by partition, from the start: the offsets that are committed say what
// is next.
async function copy(bootstrap, from, to, count, group, transactionalId) {
  const client = connect(bootstrap, 20)
  const admin = client.admin()
  await admin.connect()
  let producer
  const connectProducer = async () => {
    producer = client.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false })
    await producer.connect()
  }
  await connectProducer()
  const read = Array.from({ length: copyPartitions }, () => [])
  let wake = () => {}
  const consumer = await readCommitted(bootstrap, `reader-${process.pid}`, from, (partition, { key, value, offset }) => {
    read[partition][Number(offset)] = { key, value, partition }
    wake()
  })
  let next = []
  const restart = async () => {
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [from] })
    next = read.map((_, p) => Math.max(0, Number(partitions.find(o => o.partition === p)?.offset ?? 0)))
  }
  let transaction = null
  let taken = []
  const open = async n => {
    transaction = await producer.transaction() // It fences others the first time.
    if (next.length === 0) await restart()
    taken = [...next]
    const messages = []
    while (messages.length < n && taken.some(o => o < count)) {
      const partition = taken.findIndex(o => o < count)
      while (!read[partition][taken[partition]]) await new Promise(resolve => { wake = resolve })
      messages.push(read[partition][taken[partition]++])
    }
    await transaction.send({ topic: to, messages })
    const partitions = taken.map((offset, partition) => ({ partition, offset: String(offset) }))
    await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: from, partitions }] })
  }
  const end = async () => {
    await transaction.commit()
    next = taken
  }
  const fenced = e => [e, e.cause, e.originalError].some(e => ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'].includes(e?.type))
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [word, n] = line.split(' ')
    const told = { event: 'done', what: '' }
    const failed = e => {
      console.error(e)
      told.event = fenced(e) ? 'fenced' : 'failed'
      told.what += String(e) + ' '
    }
    try {
      if (word !== 'end') await open(Number(n))
      if (word === 'commit' || word === 'end') await end()
      if (word === 'abort') await transaction.abort()
    } catch (e) {
      failed(e)
      try {
        if (told.event === 'failed') {
          // It does not commit again, nor abort, when a commit has failed: another producer goes on.
          await producer.disconnect()
          await connectProducer()
          next = []
        }
      } catch (e) {
        failed(e)
      }
    }
    print(told)
  }
  await Promise.all([consumer.disconnect(), admin.disconnect(), producer.disconnect()])
}

// Prints the committed records of all partitions, up to one with the value END in each.
async function committed(bootstrap, topic, end) {
  let ends = 0
  await new Promise(resolve => {
    void readCommitted(bootstrap, `committed-${process.pid}`, topic, (partition, message) => {
      const value = message.value.toString()
      print({ partition, value })
      if (value === end && ++ends === copyPartitions) resolve()
    })
  })
  process.exit() // It would leave the group.
}

const [command, ...args] = process.argv.slice(2)
void { produce, admin, member, copy, committed }[command](...args)
