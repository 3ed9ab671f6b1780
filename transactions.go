package minikafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeadTransaction is the state of a transactional id that nobody has used, or that is
// forgotten.
const DeadTransaction = "Dead"

// TransactionState is what is known of a transactional id, as its coordinator
// describes it to clients (DescribeTransactions).
type TransactionState struct {
	ID string `json:"id"`
	// State is Kafka's: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit or
	// CompleteAbort; [DeadTransaction] when the id is not known, and "" while no
	// coordinator can be asked.
	State string `json:"state"`
	// Coordinator is the broker that was asked, -1 if there was none.
	Coordinator int32 `json:"coordinator"`
	// ProducerID and ProducerEpoch are the newest producer's, -1 if the id is not known.
	ProducerID    int64 `json:"producer_id"`
	ProducerEpoch int16 `json:"producer_epoch"`
	// Timeout is after what time the transaction is aborted (transaction.timeout.ms).
	Timeout time.Duration `json:"timeout_ns"`
	// Started is when the transaction began; zero without one.
	Started time.Time `json:"started,omitzero"`
	// Partitions are those in the transaction, by topic and partition; none once all of
	// them have their markers.
	Partitions []TransactionPartition `json:"partitions"`
}

// TransactionPartition is one partition in a [TransactionState].
type TransactionPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// FirstOffset is that of the transaction's first record, above which consumers with
	// read_committed see nothing; -1 where it has no records yet, or its marker
	// already.
	FirstOffset int64 `json:"first_offset"`
}

// Pending are the partitions in which the transaction is open: it has records there,
// and no marker yet.
func (s TransactionState) Pending() []TransactionPartition {
	var list []TransactionPartition
	for _, p := range s.Partitions {
		if p.FirstOffset >= 0 {
			list = append(list, p)
		}
	}
	return list
}

// Transactions are all transactional ids whose coordinators can be asked, in order.
func (c *Cluster) Transactions() []TransactionState {
	c.tb.Helper()
	c.checkOpen()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	list := []TransactionState{}
	for _, id := range c.cluster.transactionalIDs(ctx) {
		if s := c.cluster.transaction(ctx, id); s.State != DeadTransaction {
			list = append(list, s)
		}
	}
	return list
}

// Transaction tells about one transactional id. It need not have been used: then its
// state is [DeadTransaction].
func (c *Cluster) Transaction(id string) TransactionState {
	c.tb.Helper()
	c.checkOpen()
	ctx, cancel := c.cluster.deadline()
	defer cancel()
	return c.cluster.transaction(ctx, id)
}

// transactionalIDs are those whose coordinators can be asked, in order.
func (c *cluster) transactionalIDs(ctx context.Context) []string {
	var ids []string
	for _, n := range c.brokers {
		resp, ok := ask[*kmsg.ListTransactionsResponse](ctx, n, kmsg.NewPtrListTransactionsRequest())
		if !ok {
			continue
		}
		for _, s := range resp.TransactionStates {
			if by, _ := c.coordinator(transactionState, s.TransactionalID); by == n {
				ids = append(ids, s.TransactionalID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// transaction describes a transactional id.
func (c *cluster) transaction(ctx context.Context, id string) TransactionState {
	s := TransactionState{
		ID: id, State: DeadTransaction, Coordinator: -1, ProducerID: -1, ProducerEpoch: -1, Partitions: []TransactionPartition{},
	}
	if image := c.image(); image != nil && image.Topics[transactionState] == nil {
		return s // there are no transactions
	}
	n, _ := c.coordinator(transactionState, id)
	if n == nil {
		s.State = ""
		return s
	}
	s.Coordinator = n.plan.id
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{id}
	resp, ok := ask[*kmsg.DescribeTransactionsResponse](ctx, n, q)
	if !ok {
		s.State = ""
		return s
	}
	d := resp.TransactionStates[0]
	switch {
	case d.ErrorCode == kerr.TransactionalIDNotFound.Code:
		return s
	case d.ErrorCode != 0:
		s.State = ""
		return s
	}
	s.State, s.ProducerID, s.ProducerEpoch = d.State, d.ProducerID, d.ProducerEpoch
	s.Timeout = time.Duration(d.TimeoutMillis) * time.Millisecond
	if d.StartTimestamp >= 0 {
		s.Started = time.UnixMilli(d.StartTimestamp)
	}
	for _, t := range d.Topics {
		for _, p := range t.Partitions {
			s.Partitions = append(s.Partitions, TransactionPartition{t.Topic, p, c.openSince(ctx, t.Topic, p, d.ProducerID)})
		}
	}
	slices.SortFunc(s.Partitions, func(a, b TransactionPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return s
}

// openSince is the first offset of a producer's open transaction in a partition, -1 if
// it has none or its leader cannot be asked.
func (c *cluster) openSince(ctx context.Context, topic string, partition int32, producerID int64) int64 {
	n, _ := c.leading(topic, partition)
	if n == nil {
		return -1
	}
	q := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	q.Topics = append(q.Topics, t)
	resp, ok := ask[*kmsg.DescribeProducersResponse](ctx, n, q)
	if !ok {
		return -1
	}
	for _, p := range resp.Topics[0].Partitions[0].ActiveProducers {
		if p.ProducerID == producerID {
			return p.CurrentTxnStartOffset
		}
	}
	return -1
}

// String tells the transaction in a few lines.
func (s TransactionState) String() string {
	state := s.State
	if state == "" {
		state = "unknown"
	}
	text := fmt.Sprintf("%s: %s", s.ID, state)
	if s.ProducerID >= 0 {
		text += fmt.Sprintf(", producer %d, epoch %d", s.ProducerID, s.ProducerEpoch)
	}
	if s.Coordinator >= 0 {
		text += fmt.Sprintf(", coordinated by broker %d", s.Coordinator)
	}
	for _, p := range s.Partitions {
		text += fmt.Sprintf("\n  %s/%d", p.Topic, p.Partition)
		if p.FirstOffset >= 0 {
			text += fmt.Sprintf(": open since offset %d", p.FirstOffset)
		}
	}
	return text
}
