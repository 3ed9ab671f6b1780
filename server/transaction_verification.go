package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/server/configs"
)

// addsItself is the first version of Produce that adds partitions to the transaction
// by itself (KIP-890).
const addsItself = 12

// verifyWithin bounds how long the coordinator of a transaction is waited for
// (request.timeout.ms).
const verifyWithin = 30 * time.Second

// addRetries returns a function that waits until a partition is to be added again,
// while the former transaction of the producer is being completed; false when that has
// been tried for long enough (add.partitions.to.txn.retry.backoff.ms and .max.ms).
func (b *broker) addRetries(ctx context.Context) func() bool {
	v := configs.BrokerValues{Static: b.config.Static}
	pause := time.Duration(v.Int("add.partitions.to.txn.retry.backoff.ms")) * time.Millisecond
	until := time.Now().Add(time.Duration(v.Int("add.partitions.to.txn.retry.backoff.max.ms")) * time.Millisecond)
	return func() bool { return time.Now().Add(pause).Before(until) && wait(ctx, pause) }
}

// verifying is a partition that is to be in a transaction, and what the coordinator
// says of it.
type verifying struct {
	topic     string
	partition int32
	err       error
}

// verifyTransactions asks the coordinator about the partitions in which the
// producer's transaction has no records yet
// (ReplicaManager.maybeStartTransactionVerificationForPartitions).
func (p *producing) verifyTransactions() {
	b := p.r.broker
	if !b.verifiesAt(p.image) {
		return
	}
	var asked []*producePart
	p.live(func(part *producePart) {
		if part.batch.Transactional() {
			part.verified = true
			asked = append(asked, part)
		}
	})
	for again := b.addRetries(p.r.ctx); ; {
		if asked = p.verifyParts(asked); len(asked) == 0 || !again() {
			break
		}
	}
	for _, part := range asked {
		p.refuseUnverified(part, kerr.ConcurrentTransactions)
	}
}

// verifyParts verifies partitions, and returns those that are to be asked about again,
// because the producer's former transaction is not complete.
func (p *producing) verifyParts(parts []*producePart) (again []*producePart) {
	b, adds := p.r.broker, p.q.Version >= addsItself
	var list []verifying
	var asked []*producePart
	for _, part := range parts {
		r := b.replicas.Replica(part.id)
		if r == nil {
			part.err = replication.ErrNotHosted
			continue
		}
		if part.verification, part.err = r.Verify(part.batch, adds); part.verification != nil {
			asked = append(asked, part)
			list = append(list, verifying{topic: part.topic, partition: part.id.Partition})
		}
	}
	if len(asked) == 0 {
		return nil
	}
	first := asked[0].batch
	b.verify(p.r.ctx, *p.q.TransactionID, first.ProducerID, first.ProducerEpoch, list, adds)
	for i, part := range asked {
		switch err := list[i].err; {
		case adds && errors.Is(err, kerr.ConcurrentTransactions):
			again = append(again, part)
		case err != nil:
			p.refuseUnverified(part, err)
		}
	}
	return again
}

// refuseUnverified translates what the coordinator said.
func (p *producing) refuseUnverified(part *producePart, err error) {
	part.err = err
	message := ""
	switch code := errorCode(err); code {
	case kerr.TransactionAbortable.Code:
		if p.q.Version < 11 {
			part.err, message = kerr.InvalidTxnState, "Partition was not added to the transaction"
		}
	case kerr.InvalidTxnState.Code:
		message = "Partition was not added to the transaction"
	case kerr.ConcurrentTransactions.Code:
		if p.q.Version < addsItself {
			part.err, message = replication.ErrNotEnoughReplicas, unableToVerify(kerr.ConcurrentTransactions)
		}
	case kerr.NetworkException.Code, kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
		part.err, message = replication.ErrNotEnoughReplicas, unableToVerify(kerr.ErrorForCode(code))
	}
	if message != "" {
		part.message = &message
	}
	part.appended.LogStartOffset = p.logStart(part)
}

func unableToVerify(err error) string {
	var k *kerr.Error
	_ = errors.As(err, &k)
	return "Unable to verify the partition has been added to the transaction. Underlying error: " + k.Message
}

// verify asks the coordinator of a transaction whether partitions are in it, or has
// it add them (AddPartitionsToTxnManager). The list takes up the answers.
func (b *broker) verify(ctx context.Context, id string, producerID int64, epoch int16, list []verifying, adds bool) {
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.Version = 5
	t := kmsg.NewAddPartitionsToTxnRequestTransaction()
	t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = id, producerID, epoch, !adds
	for _, v := range list {
		if n := len(t.Topics); n == 0 || t.Topics[n-1].Topic != v.topic {
			topic := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			topic.Topic = v.topic
			t.Topics = append(t.Topics, topic)
		}
		last := &t.Topics[len(t.Topics)-1]
		last.Partitions = append(last.Partitions, v.partition)
	}
	q.Transactions = append(q.Transactions, t)
	ctx, cancel := context.WithTimeout(ctx, verifyWithin)
	defer cancel()
	answer, err := b.askCoordinator(ctx, id, q)
	for i := range list {
		list[i].err = err
	}
	if err == nil {
		readVerified(answer.(*kmsg.AddPartitionsToTxnResponse), list)
	}
}

// wait returns after d, or false when ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func readVerified(resp *kmsg.AddPartitionsToTxnResponse, list []verifying) {
	type place struct {
		topic     string
		partition int32
	}
	codes := map[place]int16{}
	for _, t := range resp.Transactions {
		for _, topic := range t.Topics {
			for _, p := range topic.Partitions {
				codes[place{topic.Topic, p.Partition}] = p.ErrorCode
			}
		}
	}
	for i := range list {
		code, ok := codes[place{list[i].topic, list[i].partition}]
		switch {
		case !ok:
			list[i].err = kerr.UnknownServerError
		case code == kerr.ProducerFenced.Code:
			list[i].err = log.ErrInvalidProducerEpoch
		default:
			list[i].err = kerr.ErrorForCode(code)
		}
	}
}

// askCoordinator asks the coordinator of a transactional id. Errors are
// COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR when it has moved meanwhile, and
// NETWORK_EXCEPTION when it has gone.
func (b *broker) askCoordinator(ctx context.Context, id string, q kmsg.Request) (kmsg.Response, error) {
	n := b.transactionPartition(id)
	leader := func(m *election.Image) int32 {
		if t := m.Topics[transactionState]; t != nil && int(n) < len(t.Partitions) {
			return t.Partitions[n].Leader
		}
		return -1
	}
	m := b.image()
	to := leader(m)
	if to < 0 || !m.Brokers[to].Alive() {
		return nil, kerr.CoordinatorNotAvailable
	}
	answer, err := b.askWhile(ctx, to, q, func(m *election.Image) bool { return leader(m) == to })
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, errMoved):
		return nil, kerr.NotCoordinator
	}
	return nil, kerr.NetworkException
}
