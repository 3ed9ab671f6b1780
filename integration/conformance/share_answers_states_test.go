package conformance_test

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// states is what brokers ask share coordinators.
func (x *shareScript) states() []call {
	return slices.Concat(
		x.initializeStates(), x.readStates("before anything is written"), x.writeStates(), x.readStates(""), x.summaries(),
		x.deleteStates(), x.readStates("after it was deleted"),
	)
}

// stateTarget is a partition that a call about states names.
type stateTarget struct {
	label     string
	group     string
	unknown   bool // topic
	partition int32
}

func (t stateTarget) topic(x *shareScript) [16]byte {
	if t.unknown {
		return unknown().id
	}
	return x.topic.id
}

// badTargets are those that are wrong whatever is asked.
func badTargets() []stateTarget {
	return []stateTarget{
		{"of a group without a name", "", false, 0},
		{"of an unknown topic", storedShareGroup, true, 0},
		{"of an unknown partition", storedShareGroup, false, 9},
		{"of a negative partition", storedShareGroup, false, -1},
	}
}

func (x *shareScript) initializeStates() (calls []call) {
	add := func(t stateTarget, stateEpoch int32, start int64) {
		calls = append(calls, lateCalls(t.label, kmsg.NewPtrInitializeShareGroupStateRequest, func(r *kmsg.InitializeShareGroupStateRequest) {
			p := kmsg.NewInitializeShareGroupStateRequestTopicPartition()
			p.Partition, p.StateEpoch, p.StartOffset = t.partition, stateEpoch, start
			r.GroupID = t.group
			r.Topics = []kmsg.InitializeShareGroupStateRequestTopic{{TopicID: t.topic(x), Partitions: []kmsg.InitializeShareGroupStateRequestTopicPartition{p}}}
		}, 0)...)
	}
	for _, t := range badTargets() {
		add(t, 0, 0)
	}
	good := stateTarget{group: storedShareGroup}
	good.label = "in a negative state epoch"
	add(good, -1, 0)
	good.label = ""
	add(good, 3, 5)
	good.label = "in an older state epoch"
	add(good, 2, 5)
	good.label = "of no topics"
	calls = append(calls, lateCalls(good.label, kmsg.NewPtrInitializeShareGroupStateRequest, func(r *kmsg.InitializeShareGroupStateRequest) { r.GroupID = storedShareGroup }, 0)...)
	return calls
}

func (x *shareScript) readStates(when string) (calls []call) {
	add := func(t stateTarget, leaderEpoch int32) {
		calls = append(calls, lateCalls(t.label, kmsg.NewPtrReadShareGroupStateRequest, func(r *kmsg.ReadShareGroupStateRequest) {
			r.GroupID = t.group
			r.Topics = []kmsg.ReadShareGroupStateRequestTopic{{
				TopicID: t.topic(x), Partitions: []kmsg.ReadShareGroupStateRequestTopicPartition{{Partition: t.partition, LeaderEpoch: leaderEpoch}},
			}}
		}, 0)...)
	}
	add(stateTarget{label: when, group: storedShareGroup}, 4)
	if when != "" {
		return calls
	}
	add(stateTarget{label: "in an older leader epoch", group: storedShareGroup}, 3)
	add(stateTarget{label: "in a negative leader epoch", group: storedShareGroup}, -1)
	for _, t := range badTargets() {
		add(t, 0)
	}
	return calls
}

func (x *shareScript) writeStates() (calls []call) {
	add := func(t stateTarget, stateEpoch, leaderEpoch int32, start int64, batches ...stateBatch) {
		calls = append(calls, lateCalls(t.label, kmsg.NewPtrWriteShareGroupStateRequest, func(r *kmsg.WriteShareGroupStateRequest) {
			p := kmsg.NewWriteShareGroupStateRequestTopicPartition()
			p.Partition, p.StateEpoch, p.LeaderEpoch, p.StartOffset, p.DeliveryCompleteCount = t.partition, stateEpoch, leaderEpoch, start, 2
			for _, b := range batches {
				p.StateBatches = append(p.StateBatches, kmsg.WriteShareGroupStateRequestTopicPartitionStateBatch{
					FirstOffset: b.first, LastOffset: b.last, DeliveryState: b.state, DeliveryCount: b.count,
				})
			}
			r.GroupID = t.group
			r.Topics = []kmsg.WriteShareGroupStateRequestTopic{{TopicID: t.topic(x), Partitions: []kmsg.WriteShareGroupStateRequestTopicPartition{p}}}
		}, 0, 1)...)
	}
	good := func(label string) stateTarget { return stateTarget{label: label, group: storedShareGroup} }
	add(good(""), 3, 4, 6, stateBatch{6, 8, 0, 1}, stateBatch{9, 9, 2, 1})
	add(good("of a part"), 3, 4, 6, stateBatch{7, 7, 4, 2})
	add(good("in an older state epoch"), 2, 4, 6)
	add(good("in an older leader epoch"), 3, 3, 6)
	add(good("in a negative state epoch"), -1, 4, 6)
	add(good("in a negative leader epoch"), 3, -1, 6)
	add(good("of an unknown state"), 3, 4, 6, stateBatch{10, 10, 9, 1})
	add(good("backwards"), 3, 4, 6, stateBatch{12, 11, 0, 1})
	for _, t := range badTargets() {
		add(t, 3, 4, 0)
	}
	return calls
}

func (x *shareScript) summaries() (calls []call) {
	for _, t := range append([]stateTarget{{label: "", group: storedShareGroup}, {label: "of a partition that is not initialized", group: storedShareGroup, partition: 1}}, badTargets()...) {
		calls = append(calls, lateCalls(t.label, kmsg.NewPtrReadShareGroupStateSummaryRequest, func(r *kmsg.ReadShareGroupStateSummaryRequest) {
			r.GroupID = t.group
			r.Topics = []kmsg.ReadShareGroupStateSummaryRequestTopic{{
				TopicID: t.topic(x), Partitions: []kmsg.ReadShareGroupStateSummaryRequestTopicPartition{{Partition: t.partition, LeaderEpoch: -1}},
			}}
		}, 0, 1)...)
	}
	return calls
}

func (x *shareScript) deleteStates() (calls []call) {
	for _, t := range append([]stateTarget{{label: "", group: storedShareGroup}, {label: "again", group: storedShareGroup}}, badTargets()...) {
		calls = append(calls, lateCalls(t.label, kmsg.NewPtrDeleteShareGroupStateRequest, func(r *kmsg.DeleteShareGroupStateRequest) {
			r.GroupID = t.group
			r.Topics = []kmsg.DeleteShareGroupStateRequestTopic{{
				TopicID: t.topic(x), Partitions: []kmsg.DeleteShareGroupStateRequestTopicPartition{{Partition: t.partition}},
			}}
		}, 0)...)
	}
	return calls
}
