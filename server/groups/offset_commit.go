package groups

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// commitKnowsMissingGroups is the first version of OffsetCommit that answers
// GROUP_ID_NOT_FOUND.
const commitKnowsMissingGroups = 9

// txnCommitKnowsGroups is the first version of TxnOffsetCommit that answers
// GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH.
const txnCommitKnowsGroups = 6

// CommitOffsets is OffsetCommit, for partitions that exist
// (OffsetMetadataManager.commitOffset). Topics have their ids and their names.
// The offsets are those of one commit: none of them is stored without the others.
func (s *Shard) CommitOffsets(c Client, q *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, coordinator.Outcome, error) {
	check, err := s.checkCommit(c, q)
	if err != nil {
		return nil, coordinator.Outcome{}, err
	}
	return s.commitChecked(q, check)
}

// CommitOffsetsOfTransaction is TxnOffsetCommit, as the OffsetCommit it would be
// without a transaction (OffsetMetadataManager.commitTransactionalOffset). The records
// are to be written in the producer's transaction.
func (s *Shard) CommitOffsetsOfTransaction(c Client, q *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, coordinator.Outcome, error) {
	g, err := s.group(q.Group, timeline.Latest)
	switch {
	case err == nil:
	case q.Generation < 0:
		g = s.newClassic(q.Group)
	case c.Version >= txnCommitKnowsGroups:
		return nil, coordinator.Outcome{}, kerr.GroupIDNotFound
	default:
		return nil, coordinator.Outcome{}, kerr.IllegalGeneration
	}
	check, err := g.checkCommit(commit{
		memberID: q.MemberID, instanceID: q.InstanceID, generation: q.Generation, transactional: true, version: c.Version,
	})
	var resp *kmsg.OffsetCommitResponse
	var o coordinator.Outcome
	if err == nil {
		resp, o, err = s.commitChecked(q, check)
	}
	if errors.Is(err, kerr.StaleMemberEpoch) && c.Version < txnCommitKnowsGroups {
		err = kerr.IllegalGeneration // what producers know
	}
	return resp, o, err
}

func (s *Shard) commitChecked(q *kmsg.OffsetCommitRequest, check partitionCheck) (*kmsg.OffsetCommitResponse, coordinator.Outcome, error) {
	now := s.ctx.Now().UnixMilli()
	expires := int64(-1)
	if q.RetentionTimeMillis != -1 {
		expires = now + q.RetentionTimeMillis
	}
	resp := q.ResponseKind().(*kmsg.OffsetCommitResponse)
	var o coordinator.Outcome
	for i := range q.Topics {
		t := &q.Topics[i]
		a := kmsg.NewOffsetCommitResponseTopic()
		a.Topic, a.TopicID = t.Topic, t.TopicID
		for j := range t.Partitions {
			p := &t.Partitions[j]
			b := kmsg.NewOffsetCommitResponseTopicPartition()
			b.Partition = p.Partition
			if s.tooLong(p.Metadata) {
				b.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			} else {
				if check != nil {
					if err := check(t.Topic, t.TopicID, p.Partition); err != nil {
						return nil, coordinator.Outcome{}, err
					}
				}
				o.Records = append(o.Records, offsetRecord(q.Group, t.Topic, p.Partition, committed{
					offset: p.Offset, leaderEpoch: p.LeaderEpoch, metadata: orEmpty(p.Metadata),
					timestamp: now, expires: expires, topicID: t.TopicID,
				}))
			}
			a.Partitions = append(a.Partitions, b)
		}
		resp.Topics = append(resp.Topics, a)
	}
	return resp, o, nil
}

// checkCommit is OffsetMetadataManager.validateOffsetCommit. A commit is a sign of
// life in a classic group.
func (s *Shard) checkCommit(c Client, q *kmsg.OffsetCommitRequest) (partitionCheck, error) {
	g, err := s.group(q.Group, timeline.Latest)
	if err != nil {
		switch {
		case q.Generation < 0:
			g = s.newClassic(q.Group)
		case c.Version >= commitKnowsMissingGroups:
			return nil, kerr.GroupIDNotFound
		default:
			return nil, kerr.IllegalGeneration
		}
	}
	check, err := g.checkCommit(commit{
		memberID: q.MemberID, instanceID: q.InstanceID, generation: q.Generation, version: c.Version,
	})
	if err != nil {
		return nil, err
	}
	if g, ok := g.(*classicGroup); ok && g.in(stateStable, statePreparing) {
		if m := g.members[q.MemberID]; m != nil {
			s.renew(g, m)
		}
	}
	return check, nil
}

// tooLong tells whether metadata is longer than offset.metadata.max.bytes, which
// Kafka counts as Java counts a string: in units of UTF-16.
func (s *Shard) tooLong(metadata *string) bool {
	n := 0
	for _, r := range orEmpty(metadata) {
		if n++; r > 0xffff {
			n++
		}
	}
	return n > int(s.config.Settings.OffsetMetadataMaxBytes)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
