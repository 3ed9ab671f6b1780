package server

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/share"
	"github.com/minikafka/minikafka/server/sharecoordinator"
)

// ShareAcknowledge (79), versions 1-2: a member of a share group says what has
// become of records. v2 may renew locks (KIP-1222).

func shareAcknowledge(r *request, q *kmsg.ShareAcknowledgeRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.ShareAcknowledgeResponse)
	m, err := r.shareMember(q.GroupID, q.MemberID)
	if err == nil {
		err = r.broker.shares.sessions.Acknowledge(m, q.ShareSessionEpoch)
	}
	if err != nil {
		resp.ErrorCode = errorCode(err) // Kafka sends no message.
		return resp, nil
	}
	acks := newShareAcks(q.Version >= 2, q.Version >= 2 && q.IsRenewAck)
	for i := range q.Topics {
		t := &q.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			id := log.PartitionID{Topic: t.TopicID, Partition: p.Partition}
			if r.broker.image().TopicsByID[id.Topic] == nil {
				acks.add(id)
			}
			for _, b := range p.AcknowledgementBatches {
				acks.addBatch(id, share.Acknowledgement{First: b.FirstOffset, Last: b.LastOffset, Types: b.AcknowledgeTypes})
			}
		}
	}
	r.acknowledgeShares(m, acks)
	if q.ShareSessionEpoch == share.FinalEpoch {
		r.endShareSession(m, acks)
	}
	resp.AcquisitionLockTimeoutMillis = r.broker.shareLockMs(m.Group)
	var leaders leaderHints
	for _, id := range acks.order {
		out := kmsg.NewShareAcknowledgeResponseTopicPartition()
		out.Partition = id.Partition
		out.ErrorCode, out.ErrorMessage = errorCode(acks.errs[id]), ownText(acks.errs[id])
		if tellsLeader(out.ErrorCode) {
			out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = r.broker.currentLeader(id, &leaders)
		}
		i := slices.IndexFunc(resp.Topics, func(t kmsg.ShareAcknowledgeResponseTopic) bool { return t.TopicID == id.Topic })
		if i < 0 {
			i = len(resp.Topics)
			resp.Topics = append(resp.Topics, kmsg.ShareAcknowledgeResponseTopic{TopicID: id.Topic})
		}
		resp.Topics[i].Partitions = append(resp.Topics[i].Partitions, out)
	}
	for _, b := range leaders.brokers {
		resp.NodeEndpoints = append(resp.NodeEndpoints, kmsg.ShareAcknowledgeResponseNodeEndpoint{NodeID: b.ID, Host: b.Host, Port: b.Port, Rack: rack(b)})
	}
	return resp, nil
}

// maxMemberID is how long a share group's member id may be.
const maxMemberID = 36

// shareMember makes the checks that precede everything else (KafkaApis).
func (r *request) shareMember(group, member *string) (share.Member, error) {
	switch {
	case !r.broker.shareGroupsEnabled():
		return share.Member{}, kerr.UnsupportedVersion
	case group == nil:
		return share.Member{}, kerr.InvalidRequest
	case member == nil || *member == "" || len(*member) > maxMemberID:
		return share.Member{}, kerr.InvalidRequest
	}
	return share.Member{Group: *group, ID: *member}, nil
}

// errorText is an error's message for share consumers: its own, or that of its
// code (Throwable.getMessage, Errors.message).
func errorText(err error) *string {
	if err == nil {
		return nil
	}
	var stored *sharecoordinator.Error
	text := err.Error()
	if told := errorMessage(err); told != nil {
		return told
	}
	if !errors.As(err, &stored) {
		if code := (*kerr.Error)(nil); errors.As(kerr.ErrorForCode(errorCode(err)), &code) {
			text = code.Description
		}
	}
	return &text
}

// ownText is the message of an error that has one of its own: answers to share
// consumers have none with codes that speak for themselves.
func ownText(err error) *string {
	var stored *sharecoordinator.Error
	for _, own := range []error{share.ErrRecordState, share.ErrRequest} {
		if errors.Is(err, own) {
			text := err.Error()
			return &text
		}
	}
	if errors.As(err, &stored) && stored.Message != "" {
		return &stored.Message
	}
	return nil
}

// tellsLeader tells whether an answer with the code names the leader.
func tellsLeader(code int16) bool {
	return code == kerr.NotLeaderForPartition.Code || code == kerr.FencedLeaderEpoch.Code
}

// shareLockMs is how long a group's members may hold records.
func (b *broker) shareLockMs(group string) int32 {
	return int32(b.groupValues(group).Int("share.record.lock.duration.ms"))
}

// shareAcks are the acknowledgements of a request, and what came of them.
type shareAcks struct {
	renewals, renew bool
	order           []log.PartitionID
	batches         map[log.PartitionID][]share.Acknowledgement
	errs            map[log.PartitionID]error
}

func newShareAcks(renewals, renew bool) *shareAcks {
	return &shareAcks{
		renewals: renewals, renew: renew,
		batches: map[log.PartitionID][]share.Acknowledgement{}, errs: map[log.PartitionID]error{},
	}
}

func (a *shareAcks) add(id log.PartitionID) {
	if _, twice := a.batches[id]; !twice {
		a.order = append(a.order, id)
		a.batches[id] = nil
	}
}

func (a *shareAcks) addBatch(id log.PartitionID, b share.Acknowledgement) {
	a.add(id)
	a.batches[id] = append(a.batches[id], b)
}

// valid is KafkaApis.validateAcknowledgementBatches.
func (a *shareAcks) valid(batches []share.Acknowledgement) bool {
	last := share.AckReject
	if a.renewals {
		last = share.AckRenew
	}
	end := int64(-1)
	for _, b := range batches {
		switch {
		case b.First > b.Last, b.First < end, len(b.Types) == 0,
			len(b.Types) > 1 && int64(len(b.Types)) != b.Last-b.First+1,
			slices.ContainsFunc(b.Types, func(t int8) bool { return t < share.AckGap || t > last }),
			slices.Contains(b.Types, share.AckRenew) && !a.renew:
			return false
		}
		end = b.Last
	}
	return true
}

// acknowledgeShares has the acknowledgements take effect, in the order of Kafka's
// checks.
func (r *request) acknowledgeShares(m share.Member, a *shareAcks) {
	errs := make([]error, len(a.order))
	r.broker.together(len(a.order), func(i int) {
		errs[i] = r.acknowledgeShare(m, a.order[i], a)
	})
	for i, id := range a.order {
		a.errs[id] = errs[i]
	}
}

func (r *request) acknowledgeShare(m share.Member, id log.PartitionID, a *shareAcks) error {
	image := r.broker.image()
	switch t := image.TopicsByID[id.Topic]; {
	case t == nil:
		return kerr.UnknownTopicID
	case !a.valid(a.batches[id]):
		return kerr.InvalidRequest
	case id.Partition < 0 || int(id.Partition) >= len(t.Partitions):
		return kerr.UnknownTopicOrPartition
	}
	p := r.broker.shares.find(m.Group, id)
	if p == nil {
		return kerr.UnknownTopicOrPartition
	}
	if len(a.batches[id]) == 0 {
		return nil
	}
	err := p.acknowledge(m.ID, a.batches[id])
	p.fencedBy(err)
	return err
}

// endShareSession ends the session, and notes what went wrong.
func (r *request) endShareSession(m share.Member, a *shareAcks) {
	results, err := r.broker.shares.endSession(m)
	if err != nil {
		return
	}
	for id, err := range results {
		if _, named := a.errs[id]; named && a.errs[id] == nil {
			a.errs[id] = err
		}
	}
}
