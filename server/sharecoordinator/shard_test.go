package sharecoordinator

import (
	"bytes"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
	"github.com/minikafka/minikafka/server/share"
)

// runtime is a coordinator.Context that runs operations at once.
type runtime struct {
	*testing.T
	shard    *Shard
	registry *timeline.Registry
	image    *election.Image
	timers   map[string]func() (coordinator.Outcome, error)
	log      []coordinator.Record
}

func (r *runtime) Partition() int32             { return 0 }
func (r *runtime) Now() time.Time               { return time.UnixMilli(1234) }
func (r *runtime) Logger() *slog.Logger         { return slog.New(slog.DiscardHandler) }
func (r *runtime) Image() *election.Image       { return r.image }
func (r *runtime) Timeline() *timeline.Registry { return r.registry }
func (r *runtime) Cancel(key string)            { delete(r.timers, key) }
func (r *runtime) Scheduled(key string) bool    { return r.timers[key] != nil }
func (r *runtime) Schedule(key string, _ time.Duration, op func() (coordinator.Outcome, error)) {
	r.timers[key] = op
}

func (r *runtime) ScheduleRetried(key string, d time.Duration, op func() (coordinator.Outcome, error)) {
	r.Schedule(key, d, op)
}

func topicID(n byte) log.TopicID { return log.TopicID{n} }

func newRuntime(t *testing.T, perSnapshot int) *runtime {
	r := &runtime{
		T: t, registry: timeline.NewRegistry(), timers: map[string]func() (coordinator.Outcome, error){},
		image: &election.Image{TopicsByID: map[log.TopicID]*election.Topic{
			topicID(1): {ID: topicID(1), Partitions: make([]*election.Partition, 2)},
		}},
	}
	r.shard = New(r, perSnapshot)
	return r
}

// run applies what an operation returned.
func (r *runtime) run(o coordinator.Outcome, err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
	for _, rec := range o.Records {
		if err := r.shard.Replay(coordinator.Position{}, rec); err != nil {
			r.Fatal(err)
		}
	}
	r.log = append(r.log, o.Records...)
}

func (r *runtime) read(p Partition, epoch int32) State {
	r.Helper()
	s, o, err := r.shard.Read(p, epoch)
	r.run(o, err)
	return s
}

func TestStateOfASharePartition(t *testing.T) {
	t.Parallel()
	r := newRuntime(t, 500)
	p := Partition{Group: "g", Topic: topicID(1), Partition: 1}
	if s, err := r.shard.Summary(p); err != nil || s.Start != -1 {
		t.Fatalf("summary of nothing: %+v, %v", s, err)
	}
	r.run(r.shard.Initialize(p, 1, -1))
	if got := r.read(p, 3); got.Start != -1 || got.StateEpoch != 1 || got.Batches != nil {
		t.Fatalf("read %+v", got)
	}
	first := share.StateBatch{First: 10, Last: 19, DeliveryState: share.Available, DeliveryCount: 1}
	r.run(r.shard.Write(p, State{1, 3, 10, 0, []share.StateBatch{first}}))
	r.run(r.shard.Write(p, State{1, 3, 12, 3, []share.StateBatch{{First: 14, Last: 15, DeliveryState: share.Acknowledged, DeliveryCount: 1}}}))
	want := State{1, 4, 12, 3, []share.StateBatch{
		{First: 12, Last: 13, DeliveryState: share.Available, DeliveryCount: 1},
		{First: 14, Last: 15, DeliveryState: share.Acknowledged, DeliveryCount: 1},
		{First: 16, Last: 19, DeliveryState: share.Available, DeliveryCount: 1},
	}}
	if got := r.read(p, 4); !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v, want %+v", got, want)
	}
	// A late write does not take the start offset back.
	r.run(r.shard.Write(p, State{1, 4, 11, 9, nil}))
	if s, _ := r.shard.Summary(p); s.Start != 12 || s.DeliveryComplete != 3 || s.LeaderEpoch != 4 {
		t.Fatalf("summary %+v", s)
	}
	r.run(r.shard.Delete(p))
	if s, err := r.shard.Summary(p); err != nil || s.Start != -1 {
		t.Fatalf("summary after deletion: %+v, %v", s, err)
	}
}

func TestFencing(t *testing.T) {
	t.Parallel()
	r := newRuntime(t, 500)
	p := Partition{Group: "g", Topic: topicID(1)}
	write := func(w State) error {
		_, err := r.shard.Write(p, w)
		return err
	}
	read := func(p Partition, epoch int32) error {
		_, _, err := r.shard.Read(p, epoch)
		return err
	}
	initialize := func(p Partition, epoch int32) error {
		_, err := r.shard.Initialize(p, epoch, 0)
		return err
	}
	for name, err := range map[string]error{"read": read(p, 0), "write": write(State{})} {
		if !errors.Is(err, kerr.InvalidRequest) {
			t.Errorf("%s before it is initialized: %v", name, err)
		}
	}
	r.run(r.shard.Initialize(p, 5, 0))
	r.read(p, 7)
	cases := []struct {
		name string
		err  error
		want error
	}{
		{"older leader writes", write(State{5, 6, 0, 0, nil}), kerr.FencedLeaderEpoch},
		{"older leader reads", read(p, 6), kerr.FencedLeaderEpoch},
		{"older state", write(State{4, 7, 0, 0, nil}), kerr.FencedStateEpoch},
		{"initialized with an older state", initialize(p, 4), kerr.FencedStateEpoch},
		{"negative leader epoch", write(State{5, -1, 0, 0, nil}), kerr.InvalidRequest},
		{"negative state epoch", write(State{-1, 7, 0, 0, nil}), kerr.InvalidRequest},
		{"a batch that ends before it begins", write(State{5, 7, 0, 0, []share.StateBatch{{First: 2, Last: 1}}}), kerr.UnknownServerError},
		{"negative partition", initialize(Partition{"g", topicID(1), -1}, 0), kerr.InvalidRequest},
		{"unknown partition", initialize(Partition{"g", topicID(1), 2}, 0), kerr.UnknownTopicOrPartition},
		{"unknown topic", initialize(Partition{"g", topicID(2), 0}, 0), kerr.UnknownTopicOrPartition},
		{"the same again", initialize(p, 5), nil},
	}
	for _, c := range cases {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
}

func TestSnapshotAfterManyUpdates(t *testing.T) {
	t.Parallel()
	r := newRuntime(t, 3)
	p := Partition{Group: "g", Topic: topicID(1)}
	r.run(r.shard.Initialize(p, 0, 0))
	for i := range int64(12) {
		r.run(r.shard.Write(p, State{0, 0, 0, 0, []share.StateBatch{{First: 2 * i, Last: 2 * i, DeliveryState: share.Acknowledged, DeliveryCount: 1}}}))
	}
	var types []int16
	for _, rec := range r.log {
		_, typ, _, _ := parseKey(rec.Key)
		types = append(types, typ)
	}
	if want := []int16{0, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1}; !slices.Equal(types, want) {
		t.Fatalf("types of the records: %v, want %v", types, want)
	}
	// The log alone gives the same state.
	again := newRuntime(t, 3)
	again.run(coordinator.Outcome{Records: r.log}, nil)
	if got, want := again.read(p, 0), r.read(p, 0); !reflect.DeepEqual(got, want) || len(got.Batches) != 12 {
		t.Fatalf("loaded %+v, want %+v", got, want)
	}
}

func TestStatesOfDeletedTopicsGo(t *testing.T) {
	t.Parallel()
	r := newRuntime(t, 500)
	p := Partition{Group: "g", Topic: topicID(1)}
	r.run(r.shard.Initialize(p, 0, 0))
	r.shard.Changed(r.image)
	if len(r.timers) > 0 {
		t.Fatal("something is to be deleted while the topic is there")
	}
	r.image = &election.Image{}
	r.shard.Changed(r.image)
	r.run(r.timers[forgetTimer]())
	if r.shard.states.Len() != 0 || r.shard.updates.Len() != 0 || r.shard.leaderEpochs.Len() != 0 {
		t.Fatal("the state is still there")
	}
}

// TestRecordsAreKafkas compares bytes with what Kafka's own serializer writes.
func TestRecordsAreKafkas(t *testing.T) {
	t.Parallel()
	k := key{"g", topicID(1), 2}
	s := &state{
		snapshotEpoch: 1, stateEpoch: 2, leaderEpoch: 3, start: 4, deliveryComplete: 5, created: 6, written: 7,
		batches: []share.StateBatch{{First: 8, Last: 9, DeliveryState: share.Archived, DeliveryCount: 10}},
	}
	got := s.snapshot(k)
	wantKey := slices.Concat([]byte{0, 0, 0, 1, 'g', 1}, make([]byte, 15), []byte{0, 0, 0, 2})
	wantValue := []byte{
		0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4,
		0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7,
		2, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 4, 0, 10, 0, 1, 0, 4, 0, 0, 0, 5,
	}
	if !bytes.Equal(got.Key, wantKey) || !bytes.Equal(got.Value, wantValue) {
		t.Fatalf("key %v value %v", got.Key, got.Value)
	}
}

func FuzzRecords(f *testing.F) {
	k := key{"group", topicID(1), 2}
	s := &state{deliveryComplete: 3, batches: []share.StateBatch{{First: 1, Last: 2}}}
	for _, r := range []coordinator.Record{s.snapshot(k), s.update(k)} {
		f.Add(r.Key, r.Value)
	}
	f.Fuzz(func(t *testing.T, keyBytes, value []byte) {
		k, typ, known, err := parseKey(keyBytes)
		if err != nil || !known {
			return
		}
		if got := k.record(typ); !bytes.Equal(got, keyBytes) {
			t.Fatalf("key %v became %v", keyBytes, got)
		}
		v, err := parseValue(typ, value)
		if err != nil {
			return
		}
		r := v.snapshot(k)
		if typ == updateType {
			r = v.update(k)
		}
		again, err := parseValue(typ, r.Value)
		if err != nil || !reflect.DeepEqual(v, again) && v.deliveryComplete >= 0 {
			t.Fatalf("%+v became %+v, %v", v, again, err)
		}
	})
}
