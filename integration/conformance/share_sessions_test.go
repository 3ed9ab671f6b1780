package conformance_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

// Types of acknowledgements (AcknowledgeType).
const (
	ackGap int8 = iota
	ackAccept
	ackRelease
	ackReject
	ackRenew
)

// acked acknowledges a run of records: with one type, or with one for each.
type acked struct {
	first, last int64
	types       []int8
}

func acking(kind int8, first, last int64) acked { return acked{first, last, []int8{kind}} }

func ackBatches(acks []acked) []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch {
	var out []kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch
	for _, a := range acks {
		b := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
		b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = a.first, a.last, a.types
		out = append(out, b)
	}
	return out
}

// sharing is the connection of a member to a broker, and its share session there.
type sharing struct {
	conn  *wire.Conn
	epoch int32
}

// to is the member's session with a broker: it begins with the first fetch.
func (s *sharer) to(broker int32) *sharing {
	if s.session == nil {
		s.session = &sharing{conn: s.e.conn(broker)}
	}
	return s.session
}

// shareFetch is a ShareFetch request for one partition, which is in the session already where none is set.
type shareFetch struct {
	topic     topic
	partition int32
	none      bool
	version   int16 // 2 when 0
	wait      time.Duration
	maxBytes  int32 // 1 MiB when 0
	records   int32 // 500 when 0
	batchSize int32 // as records when 0
	limit     bool  // no more than that, though it cuts batches
	renew     bool
	acks      []acked
}

func (f shareFetch) request(s *sharer, epoch int32) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	if req.Version = f.version; f.version == 0 {
		req.Version = 2
	}
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &s.group.name, &s.id, epoch
	if req.IsRenewAck = f.renew; !f.renew {
		req.MinBytes, req.MaxWaitMillis = 1, int32(f.wait.Milliseconds())
		if req.MaxBytes = f.maxBytes; f.maxBytes == 0 {
			req.MaxBytes = 1 << 20
		}
		if req.MaxRecords = f.records; f.records == 0 {
			req.MaxRecords = 500
		}
		if req.BatchSize = f.batchSize; f.batchSize == 0 {
			req.BatchSize = req.MaxRecords
		}
	}
	if f.limit {
		req.ShareAcquireMode = 1
	}
	if !f.none {
		p := kmsg.NewShareFetchRequestTopicPartition()
		p.Partition, p.AcknowledgementBatches = f.partition, ackBatches(f.acks)
		req.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: f.topic.id, Partitions: []kmsg.ShareFetchRequestTopicPartition{p}}}
	}
	return req
}

// sharedRecords is what a ShareFetch is answered for one partition.
type sharedRecords struct {
	top, code, ack code
	lockMs         int32
	acquired       []string // first-last x delivery count
	values         []string // of the acquired records
	hintLeader     int32
	partitions     int
}

// fetchAs sends f in the session's epoch, or in another one, and returns its answer; the session stays what it is.
func (s *sharer) fetchAs(broker int32, f shareFetch, epoch int32) sharedRecords {
	conn := s.to(broker).conn
	return s.e.sharedFrom(answer[*kmsg.ShareFetchResponse](s.e, s.e.send(conn, f.request(s, epoch))))
}

// sharedFrom reads the answer to a ShareFetch.
func (e *env) sharedFrom(resp *kmsg.ShareFetchResponse) sharedRecords {
	out := sharedRecords{top: code(resp.ErrorCode), lockMs: resp.AcquisitionLockTimeoutMillis, hintLeader: -1}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			out.partitions++
			out.code, out.ack, out.hintLeader = code(p.ErrorCode), code(p.AcknowledgeErrorCode), p.CurrentLeader.LeaderID
			batches, _, err := wire.ParseBatches(p.Records)
			if err != nil {
				e.fatalf("fetched records: %v", err)
			}
			for _, a := range p.AcquiredRecords {
				out.acquired = append(out.acquired, fmt.Sprintf("%d-%d x%d", a.FirstOffset, a.LastOffset, a.DeliveryCount))
				out.values = append(out.values, valuesWithin(batches, a.FirstOffset, a.LastOffset)...)
			}
		}
	}
	return out
}

func valuesWithin(batches []wire.Batch, first, last int64) (values []string) {
	for _, b := range batches {
		for _, r := range b.Records {
			if b.Attributes&wire.Control == 0 && first <= r.Offset && r.Offset <= last {
				values = append(values, string(r.Value))
			}
		}
	}
	return values
}

func (r sharedRecords) String() string { return strings.Join(r.acquired, ", ") }

// fetch sends f in the session, which begins by it if there is none, and must be answered well.
func (s *sharer) fetch(broker int32, f shareFetch) sharedRecords {
	got := s.fetchAs(broker, f, s.to(broker).epoch)
	check(s.e, "ShareFetch", got.top, none)
	check(s.e, "ShareFetch of the partition", got.code, none)
	s.session.epoch++
	return got
}

// opened begins a session with a fetch that must get nothing.
func (s *sharer) opened(broker int32, t topic) *sharer {
	check(s.e, "records of a new session", s.fetch(broker, shareFetch{topic: t}).String(), "")
	return s
}

// pollFor is how long a fetch of several waits: Kafka does not wake one when a member gives records back.
const pollFor = 200 * time.Millisecond

// gets fetches, in a session that has the partition, until there are records, and ends the row unless they are these. Of
// several fetches the first acknowledges, and its answer to that is returned.
func (s *sharer) gets(broker int32, f shareFetch, want string) (got sharedRecords) {
	ack := none
	s.e.wait("records", func() error {
		f.wait, f.none = pollFor, s.to(broker).epoch > 0 && f.acks == nil
		got = s.fetch(broker, f)
		if f.acks != nil {
			f.acks, ack = nil, got.ack
		}
		return is("are there any", len(got.acquired) > 0, true)
	})
	check(s.e, "acquired records", got.String(), want)
	got.ack = ack
	return got
}

// getsNothing fetches once and ends the row when there are records.
func (s *sharer) getsNothing(broker int32, f shareFetch) {
	f.none = s.to(broker).epoch > 0 && f.acks == nil
	check(s.e, "acquired records", s.fetch(broker, f).String(), "")
}

// acksAs sends a ShareAcknowledge in an epoch and returns the answer's code, and the partition's.
func (s *sharer) acksAs(broker int32, t topic, version int16, epoch int32, renew bool, acks ...acked) (top, partition code) {
	req := request(kmsg.NewPtrShareAcknowledgeRequest(), version)
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.IsRenewAck = &s.group.name, &s.id, epoch, renew
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	for _, a := range acks {
		b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
		b.FirstOffset, b.LastOffset, b.AcknowledgeTypes = a.first, a.last, a.types
		p.AcknowledgementBatches = append(p.AcknowledgementBatches, b)
	}
	req.Topics = []kmsg.ShareAcknowledgeRequestTopic{{TopicID: t.id, Partitions: []kmsg.ShareAcknowledgeRequestTopicPartition{p}}}
	resp := answer[*kmsg.ShareAcknowledgeResponse](s.e, s.e.send(s.to(broker).conn, req))
	if resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return code(resp.ErrorCode), unknownServerError
	}
	return none, code(resp.Topics[0].Partitions[0].ErrorCode)
}

// acks acknowledges in the session and returns the code of the partition.
func (s *sharer) acks(broker int32, t topic, acks ...acked) code {
	top, got := s.acksAs(broker, t, 2, s.to(broker).epoch, false, acks...)
	check(s.e, "ShareAcknowledge", top, none)
	s.session.epoch++
	return got
}

// acknowledges is acks that must be answered well.
func (s *sharer) acknowledges(broker int32, t topic, acks ...acked) {
	check(s.e, "acknowledgement", s.acks(broker, t, acks...), none)
}

// disconnect ends the member's connection, and with it the session.
func (s *sharer) disconnect() {
	_ = s.session.conn.Close() // Nothing is read from it any more.
	s.session = nil
}
