package log

// TopicID is a topic's unique id, as in Kafka's Uuid (KIP-516).
type TopicID [16]byte

// PartitionID names one topic partition. A topic that was deleted and created
// again under its old name has another id, and so other partitions.
type PartitionID struct {
	Topic     TopicID
	Partition int32
}

// Kind tells what an [Entry] holds.
type Kind uint8

const (
	// KindBatch is an entry that holds one record batch.
	KindBatch Kind = iota
	// KindControl is an entry of the replication protocol's own, such as the
	// no-op that opens a term. It holds no records and takes no offset.
	KindControl
	// KindStub is what compaction leaves of a batch entry: header only. Its
	// offsets stay taken.
	KindStub
)

// Entry is one entry of a partition's log: one record batch, or an entry of
// the replication protocol's own.
type Entry struct {
	// Index is the entry's position in the log, without gaps. It is not an
	// offset: a batch of n records takes one index and n offsets.
	Index uint64
	// Term is the term in which the entry was appended: leader epoch + 1.
	Term uint64
	Kind Kind
	// Base and Last are the offsets of the batch's first and last record. For
	// an entry without records Base is the log end offset at its place, and
	// Last is Base-1.
	Base, Last int64
	// Data is the record batch exactly as it is served; never changed once
	// the entry is stored. For KindControl it is the protocol's own payload.
	Data []byte
}
