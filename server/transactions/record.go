package transactions

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// errRecord is a record that this version does not understand.
var errRecord = errors.New("transactions: unknown record in __transaction_state")

// encodeKey is TransactionLogKey.
func encodeKey(id string) []byte {
	k := kmsg.NewTxnMetadataKey()
	k.TransactionalID = id
	return k.AppendTo(nil)
}

// encode is TransactionLogValue: version 1, which has tags, where transaction.version
// is 1 or more, else 0.
func (t *Transaction) encode(flexible bool) []byte {
	v := kmsg.NewTxnMetadataValue()
	if flexible {
		v.Version = 1
		v.PreviousProducerID, v.NextProducerID, v.ClientTransactionVersion = t.PreviousID, t.NextID, t.Version
	}
	v.ProducerID, v.ProducerEpoch, v.TimeoutMillis = t.ProducerID, t.Epoch, t.TimeoutMs
	v.State = kmsg.TransactionState(t.State)
	v.LastUpdateTimestamp, v.StartTimestamp = t.Updated, t.Started
	if t.State != Empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range t.sorted() {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.Topic {
			topic := kmsg.NewTxnMetadataValueTopic()
			topic.Topic = p.Topic
			v.Topics = append(v.Topics, topic)
		}
		last := &v.Topics[len(v.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return v.AppendTo(nil)
}

func decodeKey(key []byte) (id string, err error) {
	k := kmsg.NewTxnMetadataKey()
	if err := k.ReadFrom(key); err != nil {
		return "", fmt.Errorf("%w: key: %w", errRecord, err)
	}
	if k.Version != 0 {
		return "", fmt.Errorf("%w: key of version %d", errRecord, k.Version)
	}
	return k.TransactionalID, nil
}

func decodeValue(id string, value []byte) (*Transaction, error) {
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errRecord, id, err)
	}
	if v.Version < 0 || v.Version > 1 || v.State < 0 || State(v.State) > Dead {
		return nil, fmt.Errorf("%w: %s: version %d, state %d", errRecord, id, v.Version, v.State)
	}
	t := &Transaction{
		ID: id, ProducerID: v.ProducerID, PreviousID: v.PreviousProducerID, NextID: v.NextProducerID,
		Epoch: v.ProducerEpoch, LastEpoch: noEpoch, TimeoutMs: v.TimeoutMillis, State: State(v.State),
		Started: v.StartTimestamp, Updated: v.LastUpdateTimestamp, Version: v.ClientTransactionVersion,
	}
	if len(v.Topics) > 0 {
		t.Partitions = map[Partition]struct{}{}
	}
	for _, topic := range v.Topics {
		for _, p := range topic.Partitions {
			t.Partitions[Partition{topic.Topic, p}] = struct{}{}
		}
	}
	return t, nil
}
