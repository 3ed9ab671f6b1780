package election

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/log"
)

// creator applies CreateTopics.
func (w *world) createTopics(topics ...NewTopic) []CreateTopicResult {
	w.t.Helper()
	cmd := &createTopics{CreateTopics: CreateTopics{Topics: topics}}
	for range topics {
		cmd.IDs = append(cmd.IDs, newTopicID())
	}
	return w.must(cmd).([]CreateTopicResult)
}

func auto(name string, partitions int32, rf int16) NewTopic {
	return NewTopic{Name: name, Partitions: partitions, ReplicationFactor: rf}
}

// assigned is the topic "new" on the replicas.
func assigned(replicas ...[]int32) NewTopic {
	n := NewTopic{Name: "new", Partitions: -1, ReplicationFactor: -1, Assignment: map[int32][]int32{}}
	for i, r := range replicas {
		n.Assignment[int32(i)] = r
	}
	return n
}

func TestCreateTopicsCodes(t *testing.T) {
	t.Parallel()
	gap := assigned([]int32{1}, []int32{2})
	delete(gap.Assignment, 0)
	twice := assigned([]int32{1})
	twice.DuplicatePartitions = true
	with := func(n NewTopic, edit func(*NewTopic)) NewTopic { edit(&n); return n }
	for _, c := range []struct {
		name   string
		topic  NewTopic
		before string
		want   error
	}{
		{"fine", auto("new", 3, 3), "", nil},
		{"defaults", auto("new", -1, -1), "", nil},
		{"the metadata topic", auto("__cluster_metadata", 1, 1), "", ErrInvalidRequest},
		{"empty name", auto("", 1, 1), "", ErrInvalidTopic},
		{"dot", auto(".", 1, 1), "", ErrInvalidTopic},
		{"two dots", auto("..", 1, 1), "", ErrInvalidTopic},
		{"249 characters", auto(strings.Repeat("x", 249), 1, 1), "", nil},
		{"250 characters", auto(strings.Repeat("x", 250), 1, 1), "", ErrInvalidTopic},
		{"slash", auto("a/b", 1, 1), "", ErrInvalidTopic},
		{"umlaut", auto("\u00e4", 1, 1), "", ErrInvalidTopic},
		{"NUL", auto("a\x00", 1, 1), "", ErrInvalidTopic},
		{"A10 collision", auto("a.b", 1, 1), "", ErrInvalidTopic},
		{"collision goes before config", with(auto("a.b", 0, 0), func(n *NewTopic) { n.Configs = map[string]string{"bad": ""} }), "", ErrInvalidTopic},
		{"A06 exists", auto("a_b", 1, 1), "", ErrTopicExists},
		{"exists goes before all but the name", auto("a_b", 0, 0), "", ErrTopicExists},
		{"A09 no partitions", auto("new", 0, 1), "", ErrInvalidPartitions},
		{"negative partitions", auto("new", -2, 1), "", ErrInvalidPartitions},
		{"no replicas", auto("new", 1, 0), "", ErrInvalidReplicationFactor},
		{"replicas go before partitions", auto("new", 0, 0), "", ErrInvalidReplicationFactor},
		{"negative replicas", auto("new", 1, -2), "", ErrInvalidReplicationFactor},
		{"A07 too many replicas", auto("new", 1, 4), "", ErrInvalidReplicationFactor},
		{"A08 one broker fenced", auto("new", 1, 3), "fence 2", nil},
		{"a broker in shutdown is not usable", auto("new", 1, 3), "shutdown 2", ErrInvalidReplicationFactor},
		{"all brokers fenced", auto("new", 1, 1), "fence 1 2 3", ErrInvalidReplicationFactor},
		{"far too many partitions", auto("new", 1<<30, 1), "", ErrPolicyViolation},
		{"too many partitions", auto("new", 10_001, 1), "", ErrPolicyViolation},
		{"assignment", assigned([]int32{2, 1}, []int32{3, 1}), "", nil},
		{"assignment and replicas", with(assigned([]int32{1}), func(n *NewTopic) { n.ReplicationFactor = 1 }), "", ErrInvalidRequest},
		{"assignment and partitions", with(assigned([]int32{1}), func(n *NewTopic) { n.Partitions = 1 }), "", ErrInvalidRequest},
		{"assignment names a partition twice", twice, "", ErrInvalidAssignment},
		{"assignment with a gap", gap, "", ErrInvalidAssignment},
		{"assignment to nobody", assigned([]int32{}), "", ErrInvalidAssignment},
		{"assignment twice to one", assigned([]int32{1, 1}), "", ErrInvalidAssignment},
		{"assignment to a stranger", assigned([]int32{1, 9}), "", ErrInvalidAssignment},
		{"assignments differ in number", assigned([]int32{1, 2}, []int32{1}), "", ErrInvalidAssignment},
		{"assignment to fenced ones only", assigned([]int32{2}), "fence 2", ErrInvalidAssignment},
		{"assignment to a fenced one too", assigned([]int32{2, 1}), "fence 2", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true, 1, 2, 3)
			w.createTopics(auto("a_b", 1, 1))
			_ = w.run(c.before)
			before := w.image
			r := w.createTopics(c.topic)[0]
			if !errors.Is(r.Err, c.want) {
				t.Fatalf("%v, want %v", r.Err, c.want)
			}
			if r.Err != nil {
				if w.image != before {
					t.Error("a refused topic changed the image")
				}
				return
			}
			topic := w.image.Topics[c.topic.Name]
			if topic.ID != r.ID || w.image.TopicsByID[r.ID] != topic || int(r.Partitions) != len(topic.Partitions) ||
				int(r.ReplicationFactor) != len(topic.Partitions[0].Replicas) || r.Index != w.image.Index {
				t.Errorf("answer %+v for %+v", r, topic)
			}
		})
	}
}

func TestCreateTopicsInOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	r := w.createTopics(auto("x", 1, 1), auto("x", 1, 1), auto("a.b", 1, 1), auto("a_b", 1, 1), auto("y", 1, 2))
	for i, want := range []error{ErrInvalidRequest, ErrInvalidRequest, nil, nil, ErrInvalidReplicationFactor} {
		if !errors.Is(r[i].Err, want) {
			t.Errorf("%s: %v, want %v", r[i].Name, r[i].Err, want)
		}
	}
	before := w.image
	cmd := &createTopics{CreateTopics: CreateTopics{Topics: []NewTopic{auto("z", 2, 1)}, ValidateOnly: true}, IDs: []log.TopicID{{1}}}
	if r := w.must(cmd).([]CreateTopicResult); r[0].Err != nil || w.image != before || w.image.Topics["z"] != nil {
		t.Errorf("validated only: %v", r[0].Err)
	}
}

// TestCreateTopicsSentAgain is a command that was sent to another controller,
// after the first one had died over it.
func TestCreateTopicsSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	cmd := &createTopics{CreateTopics: CreateTopics{Topics: []NewTopic{auto("a", 2, 1)}}, IDs: []log.TopicID{{7}}}
	first := w.must(cmd).([]CreateTopicResult)[0]
	topic := w.image.Topics["a"]
	again := w.must(cmd).([]CreateTopicResult)[0]
	if again.Err != nil || again.ID != first.ID || again.Partitions != 2 || again.Index != w.image.Index || w.image.Topics["a"] != topic {
		t.Errorf("first %+v, again %+v", first, again)
	}
	cmd.IDs = []log.TopicID{{8}}
	if other := w.must(cmd).([]CreateTopicResult)[0]; !errors.Is(other.Err, ErrTopicExists) {
		t.Errorf("another command: %+v", other)
	}
}

// TestFirstState: fenced replicas are assigned, but start outside the ISR.
func TestFirstState(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	_ = w.run("fence 2")
	w.create([]int32{2, 3, 1}, nil)
	if got := show(w.partition()); got != "3 e0 p0 isr[3 1]" {
		t.Error(got)
	}
	w.must(&DeleteTopics{Topics: []TopicRef{{Name: "t"}}})
	_ = w.run("offline 3")
	w.create([]int32{2, 3, 1}, nil)
	if got := show(w.partition()); got != "1 e0 p0 isr[1]" {
		t.Error(got)
	}
}

func TestDeleteTopics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	w.createTopics(auto("a", 1, 1), auto("b", 1, 1), auto("c", 1, 1), auto("d", 1, 1))
	id := func(name string) log.TopicID { return w.image.Topics[name].ID }
	b, c, d := id("b"), id("c"), id("d")
	r := w.must(&DeleteTopics{Topics: []TopicRef{
		{Name: "a"}, {ID: b}, {Name: "none"}, {ID: log.TopicID{9}}, {Name: "c", ID: c}, {}, {Name: "d"}, {ID: d}, {Name: "x"}, {Name: "x"},
	}}).([]TopicResult)
	for i, want := range []error{
		nil, nil, ErrUnknownTopicOrPartition, ErrUnknownTopicID, ErrInvalidRequest, ErrInvalidRequest,
		ErrInvalidRequest, ErrInvalidRequest, ErrInvalidRequest, ErrInvalidRequest,
	} {
		if !errors.Is(r[i].Err, want) {
			t.Errorf("%d: %v, want %v", i, r[i].Err, want)
		}
	}
	if len(w.image.Topics) != 2 || len(w.image.TopicsByID) != 2 || w.image.Topics["c"] == nil || w.image.Topics["d"] == nil {
		t.Errorf("left: %v", w.image.Topics)
	}
	if r[0].Index != w.image.Index || r[1].Name != "b" {
		t.Errorf("answers %+v", r[:2])
	}
	w.createTopics(auto("b", 1, 1))
	if id("b") == b {
		t.Error("a topic created again has its old id")
	}
}

func TestDeleteDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1)
	w.createTopics(auto("a", 1, 1))
	w.must(&claim{Static: map[string]string{deleteTopicConfig: "false"}})
	if _, err := w.apply(&DeleteTopics{Topics: []TopicRef{{Name: "a"}}}); !errors.Is(err, ErrTopicDeletionDisabled) {
		t.Error(err)
	}
}

func TestStaticDefaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	w.must(&claim{Static: map[string]string{numPartitionsConfig: "4", defaultRFConfig: "2"}})
	r := w.createTopics(auto("a", -1, -1))[0]
	if r.Partitions != 4 || r.ReplicationFactor != 2 {
		t.Errorf("%+v", r)
	}
}

func TestCreatePartitions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		more MorePartitions
		want error
		got  string
	}{
		{"more", MorePartitions{Name: "t", Count: 3}, nil, "[1 2] [2 3] [3 1]"},
		{"A14 the same", MorePartitions{Name: "t", Count: 1}, ErrInvalidPartitions, "[1 2]"},
		{"A14 fewer", MorePartitions{Name: "t", Count: 0}, ErrInvalidPartitions, "[1 2]"},
		{"unknown", MorePartitions{Name: "x", Count: 3}, ErrUnknownTopicOrPartition, "[1 2]"},
		{"too many", MorePartitions{Name: "t", Count: 10_001}, ErrPolicyViolation, "[1 2]"},
		{"assigned", MorePartitions{Name: "t", Count: 2, Assignment: [][]int32{{3, 1}}}, nil, "[1 2] [3 1]"},
		{"assigned too few", MorePartitions{Name: "t", Count: 3, Assignment: [][]int32{{3, 1}}}, ErrInvalidAssignment, "[1 2]"},
		{"assigned none", MorePartitions{Name: "t", Count: 2, Assignment: [][]int32{}}, ErrInvalidAssignment, "[1 2]"},
		{"assigned with another number of replicas", MorePartitions{Name: "t", Count: 2, Assignment: [][]int32{{3}}}, ErrInvalidAssignment, "[1 2]"},
		{"assigned to a stranger", MorePartitions{Name: "t", Count: 2, Assignment: [][]int32{{3, 9}}}, ErrInvalidAssignment, "[1 2]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, true, 1, 2, 3)
			w.createTopics(auto("t", 1, 2))
			r := w.must(&CreatePartitions{Topics: []MorePartitions{c.more}}).([]TopicResult)[0]
			if !errors.Is(r.Err, c.want) {
				t.Errorf("%v, want %v", r.Err, c.want)
			}
			var got []string
			for _, p := range w.image.Topics["t"].Partitions {
				got = append(got, fmt.Sprint(p.Replicas))
				if p.LeaderEpoch != 0 || p.PartitionEpoch != 0 || p.Leader != p.Replicas[0] {
					t.Errorf("new partition %s", show(p))
				}
			}
			if s := strings.Join(got, " "); s != c.got {
				t.Errorf("got %s, want %s", s, c.got)
			}
			if c.want == nil && r.Index != w.image.Index {
				t.Errorf("index %d, want %d", r.Index, w.image.Index)
			}
		})
	}
	w := newWorld(t, true, 1)
	w.createTopics(auto("t", 1, 1))
	more := []MorePartitions{{Name: "t", Count: 2}, {Name: "t", Count: 3}}
	for _, r := range w.must(&CreatePartitions{Topics: more}).([]TopicResult) {
		if !errors.Is(r.Err, ErrInvalidRequest) {
			t.Errorf("a topic twice in a request: %v", r.Err)
		}
	}
	before := w.image
	w.must(&CreatePartitions{Topics: more[:1], ValidateOnly: true})
	if w.image != before {
		t.Error("validating changed the image")
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	brokers := func(racks string, ids ...int32) map[int32]*Broker {
		m := map[int32]*Broker{}
		for i, id := range ids {
			m[id] = &Broker{ID: id, Rack: strings.TrimSpace(racks[i : i+1])}
		}
		return m
	}
	for _, c := range []struct {
		name    string
		brokers map[int32]*Broker
		rf      int
		fenced  []int32
		want    string
	}{
		{"one rack", brokers("   ", 1, 2, 3), 3, nil, "[1 2 3] [2 3 1] [3 1 2] [1 2 3]"},
		{"fewer replicas than brokers", brokers("   ", 1, 2, 3), 2, nil, "[1 2] [2 3] [3 1] [1 2]"},
		{"a replica a rack", brokers("aabb", 1, 2, 3, 4), 2, nil, "[1 3] [3 1] [2 4] [4 2]"},
		{"leaders go round with one replica too", brokers("aabb", 1, 2, 3, 4), 1, nil, "[1] [3] [2] [4]"},
		{"more replicas than racks", brokers("aab", 1, 2, 3), 3, nil, "[1 3 2] [3 1 2] [2 3 1] [3 2 1]"},
		{"fenced last and never first", brokers("   ", 1, 2, 3), 3, []int32{1}, "[2 3 1] [3 2 1] [2 3 1] [3 2 1]"},
		{"a rack of fenced brokers", brokers("ab", 1, 2), 2, []int32{1}, "[2 1] [2 1] [2 1] [2 1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, id := range c.fenced {
				c.brokers[id].Fenced = true
			}
			p, _, _ := newPlacer(c.brokers)
			var got []string
			for n := range int64(4) {
				got = append(got, fmt.Sprint(p.place(n, c.rf)))
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

// TestPlacementOverTopics holds that topics of one partition are spread as well.
func TestPlacementOverTopics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	var leaders []int32
	for i := range 6 {
		if i == 3 {
			w.createTopics(auto("__consumer_offsets", 2, 3)) // The brokers' own count for nothing.
		}
		w.createTopics(auto(fmt.Sprint("t", i), 1, 3))
		leaders = append(leaders, w.image.Topics[fmt.Sprint("t", i)].Partitions[0].Leader)
	}
	if !reflect.DeepEqual(leaders, []int32{1, 2, 3, 1, 2, 3}) {
		t.Errorf("leaders %v", leaders)
	}
	if own := w.image.Topics["__consumer_offsets"].Partitions; own[0].Leader != 1 || own[1].Leader != 2 {
		t.Errorf("the brokers' own topic: %s, %s", show(own[0]), show(own[1]))
	}
}

func TestReassignmentCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2, 3)
	w.create([]int32{1, 2}, nil)
	for _, c := range []struct {
		topic     string
		partition int32
		replicas  []int32
		allow     bool
		want      error
	}{
		{"x", 0, []int32{1}, true, ErrUnknownTopicOrPartition},
		{"t", 1, []int32{1}, true, ErrUnknownTopicOrPartition},
		{"t", -1, nil, true, ErrUnknownTopicOrPartition},
		{"t", 0, []int32{}, true, ErrInvalidAssignment},
		{"t", 0, []int32{1, 2, 3}, false, ErrInvalidReplicationFactor},
		{"t", 0, []int32{1, 3}, false, nil},
		{"t", 0, []int32{1, 2, 3}, false, ErrInvalidReplicationFactor},
		{"t", 0, []int32{2, 3}, false, nil},
	} {
		r := w.must(&AlterReassignments{AllowReplicationFactorChange: c.allow, Partitions: []Reassignment{
			{PartitionRef{c.topic, c.partition}, c.replicas},
		}}).([]ElectResult)[0]
		if !errors.Is(r.Err, c.want) {
			t.Errorf("%s-%d %v: %v, want %v", c.topic, c.partition, c.replicas, r.Err, c.want)
		}
	}
}

func TestElectLeadersOfAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, true, 1, 2)
	w.createTopics(auto("a", 2, 2), auto("b", 1, 2))
	_ = w.run("fence 1; unfence 1")
	r := w.must(&ElectLeaders{}).([]ElectResult)
	// a-0 and b-0 prefer 1, which is not in sync; a-1 needs no election.
	if len(r) != 2 || r[0].PartitionRef != (PartitionRef{"a", 0}) || !errors.Is(r[0].Err, ErrPreferredNotAvailable) ||
		r[1].PartitionRef != (PartitionRef{"b", 0}) {
		t.Errorf("%v", r)
	}
	r = w.must(&ElectLeaders{Partitions: []PartitionRef{{"x", 0}, {"a", 2}, {"a", 1}}}).([]ElectResult)
	for i, want := range []error{ErrUnknownTopicOrPartition, ErrUnknownTopicOrPartition, ErrElectionNotNeeded} {
		if !errors.Is(r[i].Err, want) {
			t.Errorf("%v: %v", r[i].PartitionRef, r[i].Err)
		}
	}
}
