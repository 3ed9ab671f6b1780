package oracle_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/internal/scenario"
)

// txn is a transactional producer that makes each request itself.
type txn struct {
	*session
	id       string
	at       string // its coordinator
	producer int64
	epoch    int16
}

func (s *session) txn(id string) *txn {
	s.Helper()
	return &txn{session: s, id: id, at: s.coordinator(1, id), producer: -1, epoch: -1}
}

// settled asks again while a former transaction is being completed, which takes no
// time that a script could know.
func (x *txn) settled(at string, q kmsg.Request, code func(kmsg.Response) int16) (kmsg.Response, int16) {
	x.Helper()
	for {
		a := x.askAt(at, q)
		c := code(a)
		if c != kerr.ConcurrentTransactions.Code || x.ctx.Err() != nil {
			return a, c
		}
		x.pause()
	}
}

// init asks for a producer id with what the producer has, and tells how the answer
// differs from that.
func (x *txn) init(what string, producer int64, epoch int16) {
	x.Helper()
	q := kmsg.NewPtrInitProducerIDRequest()
	q.SetVersion(4)
	q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = &x.id, 60_000, producer, epoch
	a, c := x.settled(x.at, q, func(a kmsg.Response) int16 { return a.(*kmsg.InitProducerIDResponse).ErrorCode })
	if c != 0 {
		x.code(what, c)
		return
	}
	got := a.(*kmsg.InitProducerIDResponse)
	x.saw(what, fmt.Sprintf("NONE, the same id %v, epoch %d", got.ProducerID == x.producer, got.ProducerEpoch))
	x.producer, x.epoch = got.ProducerID, got.ProducerEpoch
}

// add adds partition 0 of a topic, as clients up to v3 do.
func (x *txn) add(what, topic string) {
	x.Helper()
	q := kmsg.NewPtrAddPartitionsToTxnRequest()
	q.SetVersion(3)
	q.TransactionalID, q.ProducerID, q.ProducerEpoch = x.id, x.producer, x.epoch
	t := kmsg.NewAddPartitionsToTxnRequestTopic()
	t.Topic, t.Partitions = topic, []int32{0}
	q.Topics = append(q.Topics, t)
	_, c := x.settled(x.at, q, func(a kmsg.Response) int16 {
		return a.(*kmsg.AddPartitionsToTxnResponse).Topics[0].Partitions[0].ErrorCode
	})
	x.code(what, c)
}

// write produces a record to partition 0 of a topic.
func (x *txn) write(what, topic string, version int16, sequence int32) {
	x.Helper()
	q := produceRequest(topic, 0, -1, scenario.NewBatch(what).From(x.producer, x.epoch, sequence).InTransaction().Bytes())
	q.SetVersion(version)
	q.TransactionID = &x.id
	_, c := x.settled(x.leader(topic, 0), q, func(a kmsg.Response) int16 { return a.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode })
	x.code(what, c)
}

// end commits or aborts; from version 5 on the answer has an epoch.
func (x *txn) end(what string, version int16, commit bool) {
	x.Helper()
	q := kmsg.NewPtrEndTxnRequest()
	q.SetVersion(version)
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = x.id, x.producer, x.epoch, commit
	a, c := x.settled(x.at, q, func(a kmsg.Response) int16 { return a.(*kmsg.EndTxnResponse).ErrorCode })
	if got := a.(*kmsg.EndTxnResponse); version >= 5 && c == 0 {
		x.saw(what, fmt.Sprintf("NONE, the same id %v, epoch %d more", got.ProducerID == x.producer, got.ProducerEpoch-x.epoch))
		return
	}
	x.code(what, c)
}

// state notes what DescribeTransactions says, once the transaction is complete if it
// is to be.
func (x *txn) state(what string) {
	x.Helper()
	q := kmsg.NewPtrDescribeTransactionsRequest()
	q.TransactionalIDs = []string{x.id}
	for {
		d := x.askAt(x.at, q).(*kmsg.DescribeTransactionsResponse).TransactionStates[0]
		if strings.HasPrefix(d.State, "Prepare") && x.ctx.Err() == nil {
			x.pause()
			continue
		}
		var topics []string
		for _, t := range d.Topics {
			topics = append(topics, fmt.Sprint(t.Topic, t.Partitions))
		}
		slices.Sort(topics)
		x.saw(what, fmt.Sprintf("%s, %s, timeout %d, begun %v, %v", codeName(d.ErrorCode), d.State, d.TimeoutMillis, d.StartTimestamp > 0, topics))
		return
	}
}

// read notes what a consumer is told of the partition: the values it would see, and the
// ends.
func (s *session) read(what, topic string) {
	s.Helper()
	for level, name := range []string{"uncommitted", "committed"} {
		q := fetchRequest(topic, 0)
		q.IsolationLevel = int8(level)
		p := s.askAt(s.leader(topic, 0), q).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		batches, err := scenario.ParseBatches(p.RecordBatches)
		if err != nil {
			s.Fatal(err)
		}
		var at []string
		for _, b := range batches {
			at = append(at, fmt.Sprintf("%d+%d", b.BaseOffset, len(b.Values)))
		}
		var aborted []int64
		for _, a := range p.AbortedTransactions {
			aborted = append(aborted, a.FirstOffset)
		}
		s.saw(what+", "+name, fmt.Sprintf("%s, batches %v, high watermark %d, stable %d, aborted %v", codeName(p.ErrorCode), at, p.HighWatermark, p.LastStableOffset, aborted))
	}
}

// olderTransactions are those of clients that keep their epoch.
func olderTransactions(s *session) {
	s.create("ledger", 1)
	x := s.txn("older")
	x.state("described before it is used")
	x.add("add before init", "ledger")
	x.end("end before init", 4, true)
	x.init("init", -1, -1)
	x.init("init again", x.producer, x.epoch)
	x.init("init in an epoch that is gone", x.producer, x.epoch-1)
	x.init("init with another id", x.producer+1000, x.epoch)
	x.init("init with half of it", x.producer, -1)
	x.end("commit nothing", 4, true)
	x.end("abort nothing", 4, false)
	x.write("produce to what is not in it", "ledger", 11, 0)
	x.add("add", "ledger")
	x.add("add again", "ledger")
	x.add("add what is not there", "no-such-topic")
	x.write("produce", "ledger", 11, 0)
	x.state("described")
	s.read("read while it is open", "ledger")
	x.end("commit", 4, true)
	x.end("commit again", 4, true)
	x.end("abort after that", 4, false)
	x.state("described after it")
	s.read("read after it", "ledger")
	x.add("add to the next", "ledger")
	x.write("produce in the next", "ledger", 11, 1)
	x.end("abort", 4, false)
	x.end("abort again", 4, false)
	x.end("commit after that", 4, true)
	x.state("described after the abort")
	s.read("read after the abort", "ledger")

	x.add("add to a third", "ledger")
	x.write("produce in a third", "ledger", 11, 2)
	old := *x
	x.init("init while it is open", -1, -1)
	x.state("described after the takeover")
	old.write("the former one produces", "ledger", 11, 3)
	old.add("the former one adds", "ledger")
	old.end("the former one commits", 4, true)
	old.init("the former one begins again", old.producer, old.epoch)
	s.read("read after the takeover", "ledger")
	x.init("a timeout is kept", -1, -1)
}

// newerTransactions are those of clients with an epoch for each.
func newerTransactions(s *session) {
	s.create("journal", 1)
	x := s.txn("newer")
	x.init("init", -1, -1)
	x.end("commit nothing", 5, true)
	x.write("produce", "journal", 12, 0)
	x.state("described")
	x.write("produce more", "journal", 12, 1)
	x.write("produce out of order", "journal", 12, 5)
	x.end("commit", 5, true)
	x.end("commit again", 5, true)
	x.end("abort after that", 5, false)
	x.write("produce in the epoch before", "journal", 12, 2)
	x.epoch++
	x.write("produce in the next, not from 0", "journal", 12, 2)
	x.write("produce in the next", "journal", 12, 0)
	x.end("abort", 5, false)
	x.end("abort again", 5, false)
	x.epoch++
	x.end("abort nothing", 5, false)
	x.state("described in the end")
	s.read("read in the end", "journal")
}

// offsetsInTransactions commits offsets with them.
func offsetsInTransactions(s *session) {
	s.create("moved", 1)
	s.fill("moved", "a", "b", "c")
	group := s.coordinator(0, "movers")
	x := s.txn("mover")
	x.init("init", -1, -1)
	x.commit("what is not added", group, 3, 1)
	q := kmsg.NewPtrAddOffsetsToTxnRequest()
	q.SetVersion(3)
	q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Group = x.id, x.producer, x.epoch, "movers"
	x.code("add the group", x.askAt(x.at, q).(*kmsg.AddOffsetsToTxnResponse).ErrorCode)
	x.commit("added", group, 3, 2)
	s.stable("while it is open", group)
	s.offsetsOf("while it is open", group, "movers", "moved")
	x.end("abort", 4, false)
	x.state("described after the abort")
	s.offsetsOf("after the abort", group, "movers", "moved")
	x.commit("by itself", group, 5, 2)
	x.end("commit", 5, true)
	x.state("described after the commit")
	s.offsetsOf("after the commit", group, "movers", "moved")
	x.commit("in the epoch before", group, 5, 3)
	x.epoch++
	x.commit("of a generation that is not there", group, 5, 3)
	x.end("commit the rest", 5, true)
	x.state("described in the end")
	s.offsetsOf("in the end", group, "movers", "moved")
}

// commit commits an offset of moved/0 in the transaction; one that says so names a
// generation.
func (x *txn) commit(what, at string, version int16, offset int64) {
	x.Helper()
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.SetVersion(version)
	q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch, q.Generation = x.id, "movers", x.producer, x.epoch, -1
	if strings.Contains(what, "generation") {
		q.Generation, q.MemberID = 3, "someone"
	}
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic = "moved"
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset, p.LeaderEpoch = offset, -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	_, c := x.settled(at, q, func(a kmsg.Response) int16 {
		return a.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
	})
	x.code("commit offsets "+what, c)
}

// stable notes what is told of offsets that must not be in a transaction.
func (s *session) stable(what, at string) {
	s.Helper()
	q := kmsg.NewPtrOffsetFetchRequest()
	q.SetVersion(8)
	q.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "movers"
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = "moved", []int32{0}
	g.Topics = append(g.Topics, t)
	q.Groups = append(q.Groups, g)
	r := s.askAt(at, q).(*kmsg.OffsetFetchResponse).Groups[0]
	of := "of no partition"
	if len(r.Topics) > 0 {
		of = codeName(r.Topics[0].Partitions[0].ErrorCode)
	}
	s.saw("stable offsets "+what, codeName(r.ErrorCode)+", "+of)
}

// listTransactions lists them.
func listTransactions(s *session) {
	s.create("listed", 1)
	open, done := s.txn("list-open"), s.txn("list-done")
	for _, x := range []*txn{open, done} {
		x.init(x.id+": init", -1, -1)
		x.add(x.id+": add", "listed")
	}
	done.end("list-done: end", 4, true)
	done.state("list-done: described")
	list := func(what string, change func(*kmsg.ListTransactionsRequest)) {
		var found, unknown []string
		for _, at := range slices.Sorted(slices.Values(s.server.addrs)) {
			q := kmsg.NewPtrListTransactionsRequest()
			q.SetVersion(1)
			change(q)
			a := s.askAt(at, q).(*kmsg.ListTransactionsResponse)
			for _, t := range a.TransactionStates {
				if strings.HasPrefix(t.TransactionalID, "list-") {
					found = append(found, t.TransactionalID+" "+t.TransactionState)
				}
			}
			unknown = a.UnknownStateFilters
		}
		slices.Sort(found)
		s.saw(what, fmt.Sprintf("%v, unknown %v", found, unknown))
	}
	list("all", func(*kmsg.ListTransactionsRequest) {})
	list("ongoing", func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"Ongoing"} })
	list("of an unknown state", func(q *kmsg.ListTransactionsRequest) { q.StateFilters = []string{"Walking"} })
	list("of another producer", func(q *kmsg.ListTransactionsRequest) { q.ProducerIDFilters = []int64{999_999} })
	list("open for an hour", func(q *kmsg.ListTransactionsRequest) { q.DurationFilterMillis = 3_600_000 })
}
