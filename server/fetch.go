package server

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication"
)

// Fetch (1), versions 4-18.
//
// v7 has sessions; v9 fences by leader epoch; v10 knows zstd; v11 may read from
// any replica, and be sent to one in the client's rack (KIP-392); v12 detects divergence; v13 has topic ids; v16 tells the current
// leader with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH. Followers replicate
// by other means: a client that calls itself a replica is answered as one, and
// moves no high watermark and no ISR.

// Errors of sessions are for the whole request.
var (
	errSessionNotFound = kerr.FetchSessionIDNotFound
	errSessionEpoch    = kerr.InvalidFetchSessionEpoch
	errSessionTopicID  = kerr.FetchSessionTopicIDError
)

// fetching is one Fetch request under way.
type fetching struct {
	r       *request
	q       *kmsg.FetchRequest
	image   *election.Image
	context *fetchContext
	// found is the partitions in the order of the answer: those that are read,
	// then those that were refused before.
	found    []*fetchPart
	readable int // how many of them are read

	replica    int32 // -1: a consumer
	isolation  replication.Isolation
	onlyLeader bool
	rackAware  bool // the consumer may be sent to another replica
	maxBytes   int
	minBytes   int
}

// fetchPart is one partition of it.
type fetchPart struct {
	key       fetchKey
	want      fetchWant
	id        log.PartitionID
	replica   *replication.Replica
	settings  *topicSettings
	diverging bool
	aboveEnd  bool // the offset lies above what the reader may see
	err       error
	out       kmsg.FetchResponseTopicPartition
}

func fetch(r *request, q *kmsg.FetchRequest) (kmsg.Response, error) {
	f := newFetching(r, q)
	var err error
	f.context, err = r.broker.sessions.begin(q, requestedParts(q), f.replica >= 0)
	if err != nil {
		return f.respond(noSession, nil, err), nil
	}
	f.resolve()
	bytes, now := f.read()
	if bytes == 0 && f.aboveEnd() {
		f.pace()
	}
	if !now && bytes < f.minBytes && q.MaxWaitMillis > 0 && f.readable > 0 {
		f.wait()
		f.read()
	}
	id, answer, err := r.broker.sessions.finish(f.context, f.found)
	return f.respond(id, answer, err), nil
}

func newFetching(r *request, q *kmsg.FetchRequest) *fetching {
	f := &fetching{r: r, q: q, image: r.broker.image(), replica: q.ReplicaID}
	if q.Version >= 15 {
		f.replica = q.ReplicaState.ID
	}
	f.maxBytes = int(q.MaxBytes)
	switch {
	case f.replica >= 0:
		f.isolation, f.onlyLeader = replication.ReadLogEnd, true
	case q.IsolationLevel == 1:
		f.isolation = replication.ReadCommitted
	}
	if f.replica < 0 {
		f.maxBytes = min(f.maxBytes, int(r.broker.static.FetchMaxBytes))
		f.onlyLeader = q.Version < 11
	}
	f.minBytes = min(int(q.MinBytes), f.maxBytes)
	f.rackAware = f.sendsElsewhere()
	return f
}

// requestedParts are the partitions of a request. Of one that is named twice the last
// counts.
func requestedParts(q *kmsg.FetchRequest) []fetchPart {
	n := 0
	for i := range q.Topics {
		n += len(q.Topics[i].Partitions)
	}
	parts := make([]fetchPart, 0, n)
	var at map[fetchKey]int
	if n > 1 {
		at = make(map[fetchKey]int, n)
	}
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			part := fetchPart{
				key:  fetchKey{t.Topic, t.TopicID, p.Partition},
				want: fetchWant{p.FetchOffset, p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.PartitionMaxBytes},
			}
			if twice, ok := at[part.key]; ok {
				parts[twice] = part
				continue
			}
			if at != nil {
				at[part.key] = len(parts)
			}
			parts = append(parts, part)
		}
	}
	return parts
}

// resolve finds the partitions. Those that metadata does not know are answered
// after the others, and do not end the wait for them (KafkaApis.handleFetchRequest).
func (f *fetching) resolve() {
	f.found = make([]*fetchPart, 0, len(f.context.parts))
	var refused []*fetchPart
	for i := range f.context.parts {
		p := &f.context.parts[i]
		t := f.image.Topics[p.key.topic]
		err := kerr.UnknownTopicOrPartition
		if f.context.usesIDs {
			if t = f.image.TopicsByID[p.key.topicID]; t == nil {
				err = kerr.UnknownTopicID
			}
		}
		if t == nil || p.key.partition < 0 || int(p.key.partition) >= len(t.Partitions) {
			p.fail(err)
			// Kafka leaves the message's default here, which is not null.
			p.out.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			refused = append(refused, p)
			continue
		}
		p.id = log.PartitionID{Topic: t.ID, Partition: p.key.partition}
		p.replica = f.r.broker.replicas.Replica(p.id)
		p.settings = f.r.broker.topicSettings(f.image, t)
		f.found = append(f.found, p)
	}
	f.readable = len(f.found)
	f.found = append(f.found, refused...)
}

// fail makes the partition's part of the answer that of an error
// (FetchResponse.partitionResponse).
func (p *fetchPart) fail(err error) {
	p.begin()
	p.err = err
	p.out.ErrorCode = errorCode(err)
}

func (p *fetchPart) begin() {
	p.err, p.diverging, p.aboveEnd = nil, false, false
	p.out = kmsg.NewFetchResponseTopicPartition()
	p.out.Partition = p.key.partition
	p.out.HighWatermark, p.out.LastStableOffset, p.out.LogStartOffset = -1, -1, -1
	p.out.PreferredReadReplica = noPreferredReplica
	p.out.RecordBatches = []byte{}
}

// request is what is to be read of the partition.
func (f *fetching) request(p *fetchPart) replication.ReadRequest {
	return replication.ReadRequest{
		Offset: p.want.offset, MaxBytes: int(p.want.maxBytes), Isolation: f.isolation,
		LeaderEpoch: p.want.leaderEpoch, LastEpoch: p.want.lastEpoch, OnlyLeader: f.onlyLeader,
	}
}

// read reads all partitions, in their order (ReplicaManager.readFromLog). now
// says that something was found that is to be answered at once.
func (f *fetching) read() (bytes int, now bool) {
	left, minOne := f.maxBytes, true
	for _, p := range f.found[:f.readable] {
		f.readPart(p, left, minOne)
		n := len(p.out.RecordBatches)
		if n > 0 {
			minOne = false
		}
		left = max(0, left-n)
		bytes += n
		now = now || p.err != nil || p.diverging || p.aboveEnd || p.out.PreferredReadReplica >= 0
	}
	return bytes, now
}

func (f *fetching) readPart(p *fetchPart, maxBytes int, minOne bool) {
	p.begin()
	if err := f.checkReplica(p); err != nil {
		p.fail(err)
		return
	}
	if f.prefer(p) {
		return
	}
	q := f.request(p)
	q.MaxBytes, q.MinOne = min(q.MaxBytes, maxBytes), minOne
	res, err := p.replica.Read(q)
	if err != nil {
		p.fail(f.storageError(err))
		return
	}
	out := &p.out
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = res.HighWatermark, res.LastStableOffset, res.LogStartOffset
	p.aboveEnd = res.AboveLimit
	if res.Diverging != nil {
		p.diverging = true
		out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = res.Diverging.Epoch, res.Diverging.Offset
		return
	}
	if len(res.Records) > 0 {
		out.RecordBatches = res.Records
	}
	if f.isolation == replication.ReadCommitted {
		out.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, len(res.Aborted))
		for i, a := range res.Aborted {
			out.AbortedTransactions[i].ProducerID, out.AbortedTransactions[i].FirstOffset = a.ProducerID, a.FirstOffset
		}
	}
}

// checkReplica makes the checks that replication does not: the partition is here,
// and a client that calls itself a replica is one.
func (f *fetching) checkReplica(p *fetchPart) error {
	switch {
	case p.replica == nil:
		return replication.ErrNotHosted
	case f.q.Version < 10 && p.settings.rules.Recompress && p.settings.rules.Codec == log.CodecZstd:
		return kerr.UnsupportedCompressionType
	case f.replica >= 0:
		return f.checkFollower(p)
	}
	return nil
}

// checkFollower is Partition.followerReplicaOrThrow, after the fences.
func (f *fetching) checkFollower(p *fetchPart) error {
	if _, err := p.replica.Available(f.request(p)); err != nil && !errors.Is(err, replication.ErrOffsetOutOfRange) {
		return err
	}
	if reg := f.image.Partition(p.id); reg != nil {
		for _, r := range reg.Replicas {
			if r == f.replica {
				return f.checkFollowerEpoch()
			}
		}
	}
	if p.want.leaderEpoch >= 0 {
		return replication.ErrUnknownEpoch
	}
	return replication.ErrNotLeader
}

// checkFollowerEpoch refuses an older incarnation of a broker (KIP-903).
func (f *fetching) checkFollowerEpoch() error {
	b := f.image.Brokers[f.replica]
	if epoch := f.q.ReplicaState.Epoch; f.q.Version >= 15 && epoch >= 0 && b != nil && epoch < b.Epoch {
		return replication.ErrNotLeader
	}
	return nil
}

// storageError is what clients before v6 know of a failed store.
func (f *fetching) storageError(err error) error {
	if f.q.Version <= 5 && errorCode(err) == kerr.KafkaStorageError.Code {
		return replication.ErrNotLeader
	}
	return err
}

// aboveEnd tells whether some offset lies above what the reader may see.
func (f *fetching) aboveEnd() bool {
	for _, p := range f.found[:f.readable] {
		if p.aboveEnd {
			return true
		}
	}
	return false
}

// paceOfEmpty is how long it takes at least to answer a consumer that is above the
// high watermark, and so is answered with nothing at once (case F of DelayedFetch):
// it asks again at once, for as long as the high watermark stands still. Over a
// network that costs time by itself; in memory and in virtual time it would never
// pass.
const paceOfEmpty = time.Millisecond

func (f *fetching) pace() {
	timer := time.NewTimer(paceOfEmpty)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.r.ctx.Done():
	}
}

// wait returns when there is enough to read, when something is to be answered at
// once, when the client's time is over, or when the client is gone (DelayedFetch).
func (f *fetching) wait() {
	timer := time.NewTimer(time.Duration(f.q.MaxWaitMillis) * time.Millisecond)
	defer timer.Stop()
	ended := f.r.ctx.Done()
	signal := make(chan struct{}, 1)
	for _, p := range f.found[:f.readable] {
		defer p.replica.Watch(signal)()
	}
	for !f.complete() {
		select {
		case <-signal:
		case <-timer.C:
			return
		case <-ended:
			return
		}
	}
}

// complete is DelayedFetch.tryComplete.
func (f *fetching) complete() bool {
	bytes := 0
	for _, p := range f.found[:f.readable] {
		n, err := p.replica.Available(f.request(p))
		if err != nil {
			return true
		}
		bytes += n
	}
	return bytes >= f.minBytes
}

// respond makes the answer.
func (f *fetching) respond(session int32, parts []*fetchPart, err error) kmsg.Response {
	resp := f.q.ResponseKind().(*kmsg.FetchResponse)
	resp.ErrorCode, resp.SessionID = errorCode(err), session
	resp.Topics = []kmsg.FetchResponseTopic{}
	var leaders leaderHints
	for _, p := range parts {
		if f.q.Version >= 16 && (p.out.ErrorCode == kerr.NotLeaderForPartition.Code || p.out.ErrorCode == kerr.FencedLeaderEpoch.Code) {
			p.out.CurrentLeader.LeaderID, p.out.CurrentLeader.LeaderEpoch = f.r.broker.currentLeader(p.id, &leaders)
		}
		last := len(resp.Topics) - 1
		if last < 0 || resp.Topics[last].Topic != p.key.topic || resp.Topics[last].TopicID != p.key.topicID {
			resp.Topics = append(resp.Topics, kmsg.FetchResponseTopic{Topic: p.key.topic, TopicID: p.key.topicID})
			last++
		}
		resp.Topics[last].Partitions = append(resp.Topics[last].Partitions, p.out)
	}
	for _, b := range leaders.brokers {
		n := kmsg.NewFetchResponseBroker()
		n.NodeID, n.Host, n.Port, n.Rack = b.ID, b.Host, b.Port, rack(b)
		resp.Brokers = append(resp.Brokers, n)
	}
	return resp
}
