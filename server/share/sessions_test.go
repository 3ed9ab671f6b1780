package share_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/share"
)

func partition(n int32) log.PartitionID {
	return log.PartitionID{Topic: log.TopicID{1}, Partition: n}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := share.NewSessions(2)
	a, b := share.Member{Group: "g", ID: "a"}, share.Member{Group: "g", ID: "b"}
	fetch := func(m share.Member, epoch int32, want error, partitions ...int32) {
		t.Helper()
		var ids []log.PartitionID
		for _, n := range partitions {
			ids = append(ids, partition(n))
		}
		if _, err := s.Fetch(m, epoch, ids, nil, false, m.ID); !errors.Is(err, want) {
			t.Fatalf("fetch of %s at epoch %d: %v, want %v", m.ID, epoch, err, want)
		}
	}
	fetch(a, 1, share.ErrSessionNotFound)
	fetch(a, share.FinalEpoch, share.ErrSessionNotFound)
	fetch(a, 0, nil, 0, 1)
	fetch(a, 2, share.ErrSessionEpoch)
	fetch(a, 1, nil, 2)
	if _, err := s.Fetch(a, 0, nil, nil, true, "a"); !errors.Is(err, share.ErrRequest) {
		t.Fatalf("a session begins with acknowledgements: %v", err)
	}
	if err := s.Acknowledge(a, 2); err != nil {
		t.Fatal(err)
	}
	for epoch, want := range map[int32]error{0: share.ErrSessionEpoch, 2: share.ErrSessionEpoch, -1: nil} {
		if err := s.Acknowledge(a, epoch); !errors.Is(err, want) {
			t.Errorf("acknowledged at epoch %d: %v, want %v", epoch, err, want)
		}
	}
	got, err := s.Fetch(a, 3, nil, []log.PartitionID{partition(1)}, true, "a")
	if err != nil || !slices.Equal(got, []log.PartitionID{partition(0), partition(2)}) {
		t.Fatalf("partitions %v, %v", got, err)
	}
	fetch(b, 0, nil, 0)
	fetch(share.Member{Group: "h", ID: "c"}, 0, share.ErrSessionLimit)
	fetch(b, 0, nil, 0) // in the place of its own
	if _, ok := s.End(b); !ok || !s.Any("g") {
		t.Fatal("a session of the group is left")
	}
	if m, open, ok := s.Disconnected("a"); !ok || !open || m != a {
		t.Fatalf("the connection's session: %v", m)
	}
	if m, open, ok := s.Disconnected("b"); !ok || open || m != b {
		t.Fatalf("the session that has ended of a connection: %v", m)
	}
	if ids, ok := s.End(a); !ok || len(ids) != 2 || s.Any("g") {
		t.Fatalf("ended: %v %v", ids, ok)
	}
	if _, _, ok := s.Disconnected("a"); ok {
		t.Fatal("a connection without a session has one")
	}
}

func TestSessionsTellWhatIsNew(t *testing.T) {
	t.Parallel()
	s := share.NewSessions(10)
	m := share.Member{Group: "g", ID: "a"}
	if _, err := s.Fetch(m, 0, []log.PartitionID{partition(0)}, nil, false, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(m, 1, []log.PartitionID{partition(1)}, nil, false, 1); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		n               int32
		records, failed bool
		want            bool
	}{
		{0, false, false, false},
		{1, false, false, true},
		{1, false, false, false},
		{1, true, false, true},
		{0, false, true, true},
		{0, false, false, true}, // the error is over
		{0, false, false, false},
	}
	for i, step := range steps {
		if got := s.Tell(m, partition(step.n), step.records, step.failed); got != step.want {
			t.Errorf("step %d: %v", i, got)
		}
	}
}
