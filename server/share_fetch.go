package server

import (
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/share"
)

// ShareFetch (78), versions 1-2: a member of a share group gets records, and
// acknowledges others. v2 has modes of acquiring (KIP-1206) and may renew locks
// (KIP-1222), which reads nothing.

func shareFetch(r *request, q *kmsg.ShareFetchRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ShareFetchResponse)
	m, err := r.shareMember(q.GroupID, q.MemberID)
	renew := q.Version >= 2 && q.IsRenewAck
	if err == nil && renew && (q.MaxBytes != 0 || q.MinBytes != 0 || q.MaxRecords != 0 || q.MaxWaitMillis != 0) {
		err = kerr.InvalidRequest // What renews locks must not fetch.
	}
	var ids []log.PartitionID
	acks := newShareAcks(q.Version >= 2, renew)
	if err == nil {
		var wanted []log.PartitionID
		wanted, acks = sharesWanted(q, acks)
		ids, err = r.broker.shares.sessions.Fetch(m, q.ShareSessionEpoch, wanted, sharesForgotten(q), len(acks.order) > 0, r.connection())
	}
	if err != nil {
		if errors.Is(err, share.ErrSessionLimit) {
			r.idle(q.MaxWaitMillis)
		}
		resp.ErrorCode = errorCode(err) // Kafka sends no message.
		return resp, nil
	}
	r.acknowledgeShares(m, acks)
	var found []*shareFetchPart
	if q.ShareSessionEpoch == share.FinalEpoch {
		r.endShareSession(m, acks)
	} else if !renew {
		found = r.fetchShares(q, m, ids)
	}
	r.respondShares(q, m, resp, found, acks)
	return resp, nil
}

// sharesWanted are the partitions of a request, and its acknowledgements.
func sharesWanted(q *kmsg.ShareFetchRequest, acks *shareAcks) ([]log.PartitionID, *shareAcks) {
	var wanted []log.PartitionID
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			id := log.PartitionID{Topic: t.TopicID, Partition: p.Partition}
			wanted = append(wanted, id)
			for _, b := range p.AcknowledgementBatches {
				acks.addBatch(id, share.Acknowledgement{First: b.FirstOffset, Last: b.LastOffset, Types: b.AcknowledgeTypes})
			}
		}
	}
	return wanted, acks
}

func sharesForgotten(q *kmsg.ShareFetchRequest) (forget []log.PartitionID) {
	for i := range q.ForgottenTopicsData {
		for _, p := range q.ForgottenTopicsData[i].Partitions {
			forget = append(forget, log.PartitionID{Topic: q.ForgottenTopicsData[i].TopicID, Partition: p})
		}
	}
	return forget
}

// connection is what the request came by; the request itself, where it came
// without one.
func (r *request) connection() any {
	if x, ok := r.ctx.(connContext); ok {
		return x.c
	}
	return r
}

// idle waits as long as a fetch without records does: a client that is refused
// is not to ask again at once.
func (r *request) idle(ms int32) {
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ctx.Done():
	}
}

// respondShares makes the answer: partitions with something to tell, and those
// with acknowledgements.
func (r *request) respondShares(
	q *kmsg.ShareFetchRequest, m share.Member, resp *kmsg.ShareFetchResponse, found []*shareFetchPart, acks *shareAcks,
) {
	resp.AcquisitionLockTimeoutMillis = r.broker.shareLockMs(m.Group)
	var leaders leaderHints
	answer := func(p kmsg.ShareFetchResponseTopicPartition, id log.PartitionID) {
		if tellsLeader(p.ErrorCode) || tellsLeader(p.AcknowledgeErrorCode) {
			p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = r.broker.currentLeader(id, &leaders)
		}
		i := slices.IndexFunc(resp.Topics, func(t kmsg.ShareFetchResponseTopic) bool { return t.TopicID == id.Topic })
		if i < 0 {
			i = len(resp.Topics)
			resp.Topics = append(resp.Topics, kmsg.ShareFetchResponseTopic{TopicID: id.Topic})
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, p)
	}
	named := map[log.PartitionID]bool{}
	for _, f := range found {
		if !f.read && f.out.ErrorCode == 0 {
			continue // Somebody else was reading it, or there was nothing to acquire.
		}
		_, acked := acks.batches[f.id]
		tell := r.broker.shares.sessions.Tell(m, f.id, len(f.out.Records) > 0, f.out.ErrorCode != 0)
		if !tell && q.ShareSessionEpoch != share.InitialEpoch && !acked {
			continue
		}
		f.out.AcknowledgeErrorCode, f.out.AcknowledgeErrorMessage = errorCode(acks.errs[f.id]), ownText(acks.errs[f.id])
		named[f.id] = true
		answer(f.out, f.id)
	}
	for _, id := range acks.order {
		if named[id] {
			continue
		}
		p := newSharePart(id)
		p.AcknowledgeErrorCode, p.AcknowledgeErrorMessage = errorCode(acks.errs[id]), ownText(acks.errs[id])
		answer(p, id)
	}
	for _, b := range leaders.brokers {
		resp.NodeEndpoints = append(resp.NodeEndpoints, kmsg.ShareFetchResponseNodeEndpoint{NodeID: b.ID, Host: b.Host, Port: b.Port, Rack: rack(b)})
	}
}

// newSharePart is a partition of an answer without anything to tell.
func newSharePart(id log.PartitionID) kmsg.ShareFetchResponseTopicPartition {
	p := kmsg.NewShareFetchResponseTopicPartition()
	p.Partition, p.Records = id.Partition, []byte{} // Java's client takes no null.
	return p
}
