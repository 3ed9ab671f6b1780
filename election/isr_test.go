package election

import (
	"errors"
	"testing"

	"github.com/minikafka/minikafka/log"
)

// TestAlterPartitionOrder makes requests that are wrong in every way from one
// point of Kafka's list on: the first one decides.
func TestAlterPartitionOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	w.create([]int32{1, 2, 3}, nil)
	if err := w.run("fence 1; unfence 1; isr 2 3 1; fence 3"); err != nil {
		t.Fatal(err)
	}
	p := w.partition() // Leader 2, leader epoch 1, partition epoch 3; 3 is fenced.
	id := log.PartitionID{Topic: w.image.Topics["t"].ID}

	// Each step puts right what the one before is refused for.
	cmd := AlterPartition{
		Broker: 1, BrokerEpoch: w.epoch(1) + 1, Partition: log.PartitionID{Topic: log.TopicID{1}, Partition: 7},
		LeaderEpoch: p.LeaderEpoch + 1, PartitionEpoch: p.PartitionEpoch + 1, Recovering: true,
		NewISR: []ISRMember{{3, -1}, {9, -1}, {9, -1}, {1, -1}},
	}
	refused := func(want error, why string) {
		t.Helper()
		if _, err := w.apply(&cmd); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", why, err, want)
		}
	}
	refused(ErrStaleBrokerEpoch, "1 broker epoch")
	cmd.BrokerEpoch--
	refused(ErrUnknownTopicID, "2 topic")
	cmd.Partition.Topic = id.Topic
	refused(ErrUnknownTopicOrPartition, "2 partition")
	cmd.Partition.Partition = -1
	refused(ErrUnknownTopicOrPartition, "2 negative partition")
	cmd.Partition = id
	refused(ErrNotController, "3 leader epoch ahead")
	cmd.LeaderEpoch -= 2
	refused(ErrNotController, "3 partition epoch ahead goes before 4")
	cmd.PartitionEpoch -= 2
	refused(ErrFencedLeaderEpoch, "4 leader epoch behind")
	cmd.LeaderEpoch++
	refused(ErrInvalidRequest, "5 not the leader")
	cmd.Broker, cmd.BrokerEpoch = 2, w.epoch(2)
	refused(ErrInvalidUpdateVersion, "6 partition epoch behind")
	cmd.PartitionEpoch++
	refused(ErrInvalidRequest, "7 no replica")
	cmd.NewISR = []ISRMember{{3, -1}, {1, -1}, {1, -1}}
	refused(ErrInvalidRequest, "7 duplicate")
	cmd.NewISR = []ISRMember{{3, -1}, {1, -1}}
	refused(ErrInvalidRequest, "7 without the leader")
	cmd.NewISR = []ISRMember{{3, -1}, {1, -1}, {2, -1}}
	refused(ErrInvalidRequest, "8 recovering with more than the leader")
	cmd.NewISR = []ISRMember{{2, -1}}
	refused(ErrInvalidRequest, "8 recovered to recovering")
	cmd.Recovering, cmd.NewISR = false, []ISRMember{{3, -1}, {1, -1}, {2, -1}}
	refused(ErrIneligibleReplica, "9 fenced")
	cmd.NewISR = []ISRMember{{2, w.epoch(2)}, {1, w.epoch(1) - 1}}
	refused(ErrIneligibleReplica, "9 another broker epoch")
	if err := w.run("shutdown 1"); err != nil {
		t.Fatal(err)
	}
	cmd.PartitionEpoch, cmd.NewISR = w.partition().PartitionEpoch, []ISRMember{{2, -1}, {1, -1}}
	refused(ErrIneligibleReplica, "9 in controlled shutdown")
	if err := w.run("unregister 1"); err != nil {
		t.Fatal(err)
	}
	refused(ErrIneligibleReplica, "9 not registered")
	if got := show(w.partition()); got != "2 e1 p4 isr[2]" {
		t.Errorf("a refused change took effect: %s", got)
	}
	cmd.NewISR = []ISRMember{{2, w.epoch(2)}}
	before := w.partition()
	answer := w.must(&cmd).(AlterPartitionResult)
	if w.partition() != before || answer.Partition.PartitionEpoch != 4 {
		t.Errorf("the same ISR again: %s", show(&answer.Partition))
	}
}

func TestAlterPartitionAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	w.create([]int32{1, 2, 3}, nil)
	answer := w.must(&AlterPartition{
		Broker: 1, BrokerEpoch: w.epoch(1), Partition: log.PartitionID{Topic: w.image.Topics["t"].ID},
		NewISR: []ISRMember{{1, w.epoch(1)}, {3, w.epoch(3)}},
	}).(AlterPartitionResult)
	if got := show(&answer.Partition); got != "1 e0 p1 isr[1 3]" {
		t.Error(got)
	}
}

// TestRecoveryState is LeaderRecoveryState after an unclean election.
func TestRecoveryState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false, 1, 2, 3)
	w.create([]int32{1, 2, 3}, nil)
	if err := w.run("isr 1; fence 1; unclean"); err != nil {
		t.Fatal(err)
	}
	p := w.partition()
	cmd := AlterPartition{
		Broker: 2, BrokerEpoch: w.epoch(2), Partition: log.PartitionID{Topic: w.image.Topics["t"].ID},
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		NewISR: []ISRMember{{2, -1}}, Recovering: true,
	}
	w.must(&cmd)
	if w.partition() != p {
		t.Errorf("recovering still: %s", show(w.partition()))
	}
	cmd.Recovering = false
	w.must(&cmd)
	if got := show(w.partition()); got != "2 e2 p4 isr[2]" {
		t.Errorf("recovered: %s", got)
	}
}
