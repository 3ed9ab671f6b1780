package conformance_test

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The transactional ids of the script. Broker A coordinates them all.
const (
	oldTransactions  = "tx-old" // of a producer with the lowest versions
	newTransactions  = "tx-new" // of one with versions of before KIP-890
	ownTransactions  = "tx-own" // of one with the highest versions, after which it has the next epoch each time
	noTransactions   = "tx-unknown"
	madeTransactions = "tx-made" // of one that brings a producer id
)

// transactionScript is what the calls about transactions go by: the producer ids that the coordinator gave.
type transactionScript struct {
	*script
	e         *env
	producers map[string]initialized
}

// transactions is the APIs about transactions. They come after those about groups, and make the transactions topic.
func (s *script) transactions(e *env) []call {
	x := &transactionScript{script: s, e: e, producers: map[string]initialized{}}
	calls := following(kmsg.InitProducerID, slices.Concat(
		x.initProducerID(), x.addPartitions(), x.addPartitionsOfBrokers(), x.addOffsets(), x.commitOffsets(),
		x.describeTransactions("", "Ongoing"), x.listTransactions(""),
		x.endTxn(), x.writeMarkers(),
		x.describeTransactions("at the end", ""), x.listTransactions("at the end"),
	))
	calls[0].before = x.coordinateAll
	return calls
}

// coordinateAll makes A the coordinator of the script's transactions, and waits until it is.
func (x *transactionScript) coordinateAll() {
	e := x.e
	e.coordinator(oldTransactions, 1)
	meta, err := e.tryMetadata(e.A, transactionsTopic)
	if err != nil {
		e.fatalf("%s: %v", transactionsTopic, err)
	}
	names := []string{oldTransactions, newTransactions, ownTransactions, noTransactions, madeTransactions}
	for _, name := range names {
		e.leadPartition(topic{name: transactionsTopic}, offsetsPartition(name, int32(len(meta.Partitions))), e.A, e.B, e.C)
	}
	for _, name := range names {
		p := &txnProducer{e: e, name: name, coordinator: e.A}
		e.wait("the coordinator to serve", func() error {
			return is("answer", code(p.describe().ErrorCode), transactionalIDNotFound)
		})
	}
}

// of makes a call of a producer, which fill tells its producer id and epoch when it is sent.
func (x *transactionScript) of(name, label string, version int16, req kmsg.Request, fill func(initialized)) call {
	return call{label: label, req: request(req, version), fill: func(kmsg.Request) { fill(x.producers[name]) }}
}

func (x *transactionScript) initProducerID() (calls []call) {
	initID := func(label, name string, version int16, change func(*kmsg.InitProducerIDRequest, initialized)) call {
		req := kmsg.NewPtrInitProducerIDRequest()
		c := x.of(name, strings.TrimSpace("of "+name+" "+label), version, req, func(has initialized) {
			req.TransactionalID, req.TransactionTimeoutMillis = &name, 60_000
			change(req, has)
		})
		c.then = func(r kmsg.Response) {
			if resp := r.(*kmsg.InitProducerIDResponse); resp.ErrorCode == 0 {
				x.producers[name] = initialized{id: resp.ProducerID, epoch: resp.ProducerEpoch}
			}
		}
		return c
	}
	plain := func(*kmsg.InitProducerIDRequest, initialized) {}
	timeout := func(ms int32) func(*kmsg.InitProducerIDRequest, initialized) {
		return func(r *kmsg.InitProducerIDRequest, _ initialized) { r.TransactionTimeoutMillis = ms }
	}
	known := func(id int64, epoch int16) func(*kmsg.InitProducerIDRequest, initialized) {
		return func(r *kmsg.InitProducerIDRequest, has initialized) {
			r.ProducerID, r.ProducerEpoch = has.id+id, has.epoch+epoch
		}
	}
	for name, version := range map[string]int16{oldTransactions: 0, newTransactions: 4, ownTransactions: 5} {
		calls = append(
			calls,
			initID("with a timeout of 0", name, version, timeout(0)),
			initID("with the longest timeout", name, version, timeout(900_000)),
			initID("with a longer timeout", name, version, timeout(900_001)),
			initID("again", name, version, plain),
		)
	}
	slices.SortStableFunc(calls, func(a, b call) int { return int(a.req.GetVersion() - b.req.GetVersion()) })
	for _, v := range []int16{3, 5} {
		calls = append(
			calls,
			initID("with its id and epoch", newTransactions, v, known(0, 0)),
			initID("with its id and the epoch before", newTransactions, v, known(0, -1)),
			initID("with its id and an epoch to come", newTransactions, v, known(0, 1)),
			initID("with another id", newTransactions, v, known(1000, 0)),
			initID("with an id and an epoch that nobody gave", madeTransactions, v, known(1000, 3)),
		)
	}
	return calls
}

func (x *transactionScript) addPartitions() (calls []call) {
	add := func(label, name string, version int16, id int64, epoch int16, topics ...kmsg.AddPartitionsToTxnRequestTopic) call {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		return x.of(name, label, version, req, func(has initialized) {
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Topics = name, has.id+id, has.epoch+epoch, topics
		})
	}
	of := func(name string, partitions ...int32) kmsg.AddPartitionsToTxnRequestTopic {
		return kmsg.AddPartitionsToTxnRequestTopic{Topic: name, Partitions: partitions}
	}
	for name, v := range map[string]int16{oldTransactions: 0, newTransactions: 3} {
		calls = append(
			calls,
			add("of an unknown topic", name, v, 0, 0, of("one", 0), of("unknown", 0)),
			add("of an unknown partition", name, v, 0, 0, of("one", 0, 9)),
			add("in another epoch", name, v, 0, 1, of("one", 0)),
			add("of another producer id", name, v, 1000, 0, of("one", 0)),
			add("", name, v, 0, 0, of("one", 0), of("sequenced", 0)),
			add("again", name, v, 0, 0, of("one", 0)),
			add("of an unknown transactional id", noTransactions, v, 7, 0, of("one", 0)),
			add("of an empty transactional id", "", v, 7, 0, of("one", 0)),
		)
	}
	slices.SortStableFunc(calls, func(a, b call) int { return int(a.req.GetVersion() - b.req.GetVersion()) })
	return append(calls, add("in another epoch", newTransactions, 1, 0, 1, of("one", 0)), add("in another epoch", newTransactions, 2, 0, 1, of("one", 0)))
}

// addPartitionsOfBrokers is AddPartitionsToTxn as brokers send it.
func (x *transactionScript) addPartitionsOfBrokers() (calls []call) {
	type one struct {
		name   string
		id     int64
		epoch  int16
		verify bool
		topic  string
		list   []int32
	}
	add := func(label string, version int16, transactions ...one) call {
		req := request(kmsg.NewPtrAddPartitionsToTxnRequest(), version)
		return call{label: label, req: req, fill: func(kmsg.Request) {
			req.Transactions = nil
			for _, t := range transactions {
				has := x.producers[t.name]
				a := kmsg.NewAddPartitionsToTxnRequestTransaction()
				a.TransactionalID, a.ProducerID, a.ProducerEpoch, a.VerifyOnly = t.name, has.id+t.id, has.epoch+t.epoch, t.verify
				a.Topics = []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: t.topic, Partitions: t.list}}
				req.Transactions = append(req.Transactions, a)
			}
		}}
	}
	first := []int32{0}
	for _, v := range []int16{4, 5} {
		calls = append(
			calls,
			add("to be verified", v, one{oldTransactions, 0, 0, true, "one", first}),
			add("to be verified, of one that is not there", v, one{oldTransactions, 0, 0, true, "three", []int32{0, 1}}),
			add("to be verified, of an unknown topic", v, one{oldTransactions, 0, 0, true, "unknown", first}),
			add("to be verified, in another epoch", v, one{oldTransactions, 0, 1, true, "one", first}),
			add("to be verified, of another producer id", v, one{oldTransactions, 1000, 0, true, "one", first}),
			add("to be verified, of an unknown transactional id", v, one{noTransactions, 7, 0, true, "one", first}),
			add("to be verified, of an empty transactional id", v, one{"", 7, 0, true, "one", first}),
			add("of two transactions", v, one{ownTransactions, 0, 0, false, "one", first}, one{oldTransactions, 0, 0, true, "one", first}),
			add("again", v, one{ownTransactions, 0, 0, false, "one", first}),
			add("of an unknown partition", v, one{ownTransactions, 0, 0, false, "one", []int32{0, 9}}),
			add("in another epoch", v, one{ownTransactions, 0, 1, false, "one", first}),
			add("of another producer id", v, one{ownTransactions, 1000, 0, false, "one", first}),
			add("of an unknown transactional id", v, one{noTransactions, 7, 0, false, "one", first}),
			add("of an empty transactional id", v, one{"", 7, 0, false, "one", first}),
		)
	}
	return calls
}

func (x *transactionScript) addOffsets() (calls []call) {
	add := func(label, name, group string, version int16, id int64, epoch int16) call {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		return x.of(name, label, version, req, func(has initialized) {
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = name, has.id+id, has.epoch+epoch, group
		})
	}
	for _, v := range []int16{0, 1, 2, 4} {
		calls = append(calls, add("in another epoch", oldTransactions, simpleGroup, v, 0, 1))
	}
	for _, v := range []int16{0, 4} {
		calls = append(
			calls,
			add("of another producer id", oldTransactions, simpleGroup, v, 1000, 0),
			add("of an unknown transactional id", noTransactions, simpleGroup, v, 7, 0),
			add("of an empty transactional id", "", simpleGroup, v, 7, 0),
			add("", oldTransactions, simpleGroup, v, 0, 0),
			add("of an unknown group", oldTransactions, "another", v, 0, 0),
			add("of a group without a name", oldTransactions, "", v, 0, 0),
		)
	}
	return calls
}

func (x *transactionScript) commitOffsets() (calls []call) {
	metadata := func(s string) *string { return &s }
	of := func(t topic, offset int64, note *string, partitions ...int32) kmsg.TxnOffsetCommitRequestTopic {
		out := kmsg.TxnOffsetCommitRequestTopic{Topic: t.name, TopicID: t.id}
		for _, p := range partitions {
			c := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			c.Partition, c.Offset, c.LeaderEpoch, c.Metadata = p, offset, 0, note
			out.Partitions = append(out.Partitions, c)
		}
		return out
	}
	commit := func(label, name, group string, version int16, change func(*kmsg.TxnOffsetCommitRequest), topics ...kmsg.TxnOffsetCommitRequestTopic) call {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		return x.of(name, label, version, req, func(has initialized) {
			req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Topics = name, group, has.id, has.epoch, topics
			change(req)
		})
	}
	plain := func(*kmsg.TxnOffsetCommitRequest) {}
	one := of(x.one, 3, nil, 0)
	for _, v := range []int16{0, 1, 2, 3, 4, 5} { // The last one adds the offsets itself.
		calls = append(calls, commit("of a group that was not added", newTransactions, simpleGroup, v, plain, one))
	}
	for _, v := range []int16{0, 3, 5, 6} {
		calls = append(
			calls,
			commit("", oldTransactions, simpleGroup, v, plain, of(x.one, 1, metadata("note"), 0), of(x.three, 2, nil, 0, 1, 9), of(unknown(), 3, nil, 0)),
			commit("of nothing", oldTransactions, simpleGroup, v, plain),
			commit("with much metadata", oldTransactions, simpleGroup, v, plain, of(x.one, 4, metadata(strings.Repeat("x", 5000)), 0), of(x.three, 5, nil, 2)),
			commit("in another epoch", oldTransactions, simpleGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerEpoch++ }, one),
			commit("in the epoch before", oldTransactions, simpleGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerEpoch-- }, one),
			commit("of another producer id", oldTransactions, simpleGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerID += 1000 }, one),
			commit("of an unknown transactional id", noTransactions, simpleGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerID = 7 }, one),
			commit("of an empty transactional id", "", simpleGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.ProducerID = 7 }, one),
			commit("of a group without a name", oldTransactions, "", v, plain, one),
		)
	}
	member := func(r *kmsg.TxnOffsetCommitRequest) { r.Generation, r.MemberID = 3, "someone" }
	for _, v := range []int16{3, 5, 6} {
		late := commit("in an old member epoch", oldTransactions, consumerGroup, v, func(r *kmsg.TxnOffsetCommitRequest) { r.Generation, r.MemberID = 1, consumerMember }, one)
		late.before = x.keepConsumer
		calls = append(
			calls,
			commit("of an unknown member", oldTransactions, simpleGroup, v, member, one),
			commit("of a member of an unknown group", oldTransactions, "another", v, member, one),
			commit("of an unknown member of the consumer protocol", oldTransactions, consumerGroup, v, member, one),
			late,
		)
	}
	return calls
}

// keepConsumer is a sign of life of consumerGroup's member.
func (x *transactionScript) keepConsumer() {
	req := request(kmsg.NewPtrConsumerGroupHeartbeatRequest(), 0)
	req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = consumerGroup, consumerMember, 2, -1
	check(x.e, "heartbeat of the consumer", code(ask[*kmsg.ConsumerGroupHeartbeatResponse](x.e, x.e.A, req).ErrorCode), none)
}

// describeTransactions waits until those that are in a transaction are in this state, or until all are complete.
func (x *transactionScript) describeTransactions(when, state string) []call {
	describe := func(names ...string) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrDescribeTransactionsRequest()
			req.TransactionalIDs = names
			return req
		}
	}
	calls := slices.Concat(
		versions(strings.TrimSpace("of three, an unknown one and one without a name "+when),
			describe(oldTransactions, newTransactions, ownTransactions, noTransactions, ""), 0),
		versions(strings.TrimSpace("of none "+when), describe(), 0),
	)
	calls[0].ready = func(r kmsg.Response) bool {
		return !slices.ContainsFunc(r.(*kmsg.DescribeTransactionsResponse).TransactionStates, func(s kmsg.DescribeTransactionsResponseTransactionState) bool {
			return s.ErrorCode == 0 && (strings.HasPrefix(s.State, "Prepare") || state != "" && s.State != state)
		})
	}
	return calls
}

func (x *transactionScript) listTransactions(when string) []call {
	list := func(change func(*kmsg.ListTransactionsRequest)) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrListTransactionsRequest()
			change(req)
			return req
		}
	}
	states := func(names ...string) func(int16) kmsg.Request {
		return list(func(r *kmsg.ListTransactionsRequest) { r.StateFilters = names })
	}
	older := func(ms int64) func(int16) kmsg.Request {
		return list(func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = ms })
	}
	matching := func(pattern string) func(int16) kmsg.Request {
		return list(func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = &pattern })
	}
	byID := versions("of one producer", list(func(*kmsg.ListTransactionsRequest) {}), 0, 2)
	for i := range byID {
		byID[i].fill = func(r kmsg.Request) {
			r.(*kmsg.ListTransactionsRequest).ProducerIDFilters = []int64{x.producers[newTransactions].id, 999_999}
		}
	}
	calls := slices.Concat(
		versions("", list(func(*kmsg.ListTransactionsRequest) {}), 0, 1, 2),
		byID,
		versions("in two states", states("Ongoing", "Empty"), 0, 2),
		versions("in unknown states", states("Closed", "ongoing", ""), 0, 2),
		versions("in a known and an unknown state", states("Ongoing", "Closed"), 0, 2),
		versions("in states of the coordinator alone", states("Dead", "PrepareEpochFence"), 0, 2),
		versions("of at least an hour", older(3_600_000), 1, 2),
		versions("of at least no time", older(0), 1, 2),
		versions("of less than no time", older(-5), 1, 2),
		versions("by a pattern", matching("tx-o.*"), 2),
		versions("by a part of the name", matching("tx"), 2),
		versions("by an empty pattern", matching(""), 2),
		versions("by a bad pattern", matching("["), 2),
	)
	for i := range calls {
		calls[i].label = strings.TrimSpace(calls[i].label + " " + when)
	}
	return calls
}

func (x *transactionScript) endTxn() (calls []call) {
	end := func(label, name string, version int16, id int64, epoch int16, commit bool) call {
		req := kmsg.NewPtrEndTxnRequest()
		c := x.of(name, label, version, req, func(has initialized) {
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = name, has.id+id, has.epoch+epoch, commit
		})
		c.ready = func(r kmsg.Response) bool { return code(r.(*kmsg.EndTxnResponse).ErrorCode) != concurrentTransactions }
		return c
	}
	for _, v := range []int16{0, 1, 2, 4, 5} {
		calls = append(calls, end("in another epoch", oldTransactions, v, 0, 1, true))
	}
	for _, v := range []int16{0, 4, 5} {
		name := map[int16]string{0: oldTransactions, 4: newTransactions, 5: ownTransactions}[v]
		calls = append(
			calls,
			end("of another producer id", name, v, 1000, 0, true),
			end("of an unknown transactional id", noTransactions, v, 7, 0, true),
			end("of an empty transactional id", "", v, 7, 0, true),
			end("in the epoch before", name, v, 0, -1, true),
			end("that commits", name, v, 0, 0, true),
			end("that commits again", name, v, 0, 0, true),
			end("that aborts what is committed", name, v, 0, 0, false),
		)
	}
	calls = append(
		calls,
		end("that aborts nothing in the next epoch", ownTransactions, 5, 0, 1, false),
		end("that aborts nothing in the next epoch, again", ownTransactions, 5, 0, 1, false),
		end("that commits nothing in the next but one epoch", ownTransactions, 5, 0, 2, true),
		end("that commits what is aborted", ownTransactions, 5, 0, 1, true),
		end("of an epoch long before", ownTransactions, 5, 0, 0, false),
	)
	return calls
}

// markerID is a producer id of the script's own, whose markers it sends itself.
const markerID = producerID + 1

func (x *transactionScript) writeMarkers() []call {
	type one struct {
		topic string
		list  []int32
	}
	marker := func(epoch int16, coordinator int32, version int8, commit bool, topics ...one) kmsg.WriteTxnMarkersRequestMarker {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.TransactionVersion, m.Committed = markerID, epoch, coordinator, version, commit
		for _, t := range topics {
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: t.topic, Partitions: t.list})
		}
		return m
	}
	write := func(markers ...kmsg.WriteTxnMarkersRequestMarker) func(int16) kmsg.Request {
		return func(int16) kmsg.Request {
			req := kmsg.NewPtrWriteTxnMarkersRequest()
			req.Markers = markers
			return req
		}
	}
	first := one{"one", []int32{0}}
	other := marker(4, 7, 0, false, first)
	other.ProducerID++
	return slices.Concat(
		versions("", write(marker(3, 7, 0, true, first)), 1, 2),
		versions("of an earlier coordinator", write(marker(3, 6, 0, true, first)), 1, 2),
		versions("of the epoch before", write(marker(2, 7, 0, false, first)), 1, 2),
		versions("to partitions that are not led here, or not there", write(marker(3, 7, 0, true, one{"three", []int32{0, 1, 9}}, one{"unknown", []int32{0}})), 1, 2),
		versions("to offsets", write(marker(3, 7, 0, true, one{offsetsTopic, []int32{0, 99}})), 1, 2),
		versions("of two producers", write(marker(3, 7, 0, true, first), other), 1, 2),
		versions("of none", write(), 1, 2),
		versions("in the same epoch, of transactions with an epoch each", write(marker(3, 7, 2, true, first)), 2),
		versions("in the next epoch, of transactions with an epoch each", write(marker(4, 7, 2, true, first)), 2),
		versions("in the epoch before, of transactions with an epoch each", write(marker(3, 7, 2, true, first)), 2),
		versions("to offsets, in the next epoch, of transactions with an epoch each", write(marker(4, 7, 2, false, one{offsetsTopic, []int32{0}})), 2),
	)
}
