package election

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/minikafka/minikafka/log"
)

// seeds are what randomised tests run with: MINIKAFKA_SEED, or a few new ones.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{n}
	}
	first := uint64(time.Now().UnixNano())
	return []uint64{first, first + 1, first + 2, first + 3}
}

// TestRandomCommands runs random commands, with the invariants checked after
// each. The same log gives the same image, in batches too, and a snapshot keeps
// all of it.
func TestRandomCommands(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t) {
		t.Run(fmt.Sprint("MINIKAFKA_SEED=", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, r.IntN(2) == 0, 1, 2, 3, 4)
			var entries []*raft.Log
			w.applied = func(index uint64, entry []byte) {
				entries = append(entries, &raft.Log{Index: index, Term: 1, Data: entry})
			}
			start, before, hid := w.next, w.image, w.hidden
			for range 2000 {
				_, _ = w.apply(randomCommand(r, w.image)) // Many are refused.
				if t.Failed() {
					t.Fatalf("after %d commands", len(entries))
				}
			}
			f := newFSM(newCodec(), noRules{}, slog.New(slog.DiscardHandler))
			f.publish(before, hid)
			for rest := entries; len(rest) > 0; {
				n := min(1+r.IntN(20), len(rest))
				f.ApplyBatch(rest[:n])
				rest = rest[n:]
			}
			if !reflect.DeepEqual(f.image(), w.image) {
				t.Errorf("the same log from %d made another image", start)
			}
			again := newFSM(newCodec(), noRules{}, slog.New(slog.DiscardHandler))
			snapshot(t, f, again)
			if a, b := asJSON(t, again), asJSON(t, f); a != b {
				t.Errorf("the snapshot lost something:\n%s\n%s", a, b)
			}
		})
	}
}

// snapshot restores one state machine from the other.
func snapshot(t *testing.T, from, to *fsm) {
	t.Helper()
	s, err := from.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Restore(io.NopCloser(bytes.NewReader(b))); err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, f *fsm) string {
	t.Helper()
	p := f.published.Load()
	b, err := json.Marshal(struct {
		Topics  map[string]*Topic
		Brokers map[int32]*Broker
		Hidden  hidden
		Index   uint64
	}{p.image.Topics, p.image.Brokers, p.hidden, p.image.Index})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// randomCommand is something that may happen next.
func randomCommand(r *rand.Rand, m *Image) applier {
	id := 1 + r.Int32N(4)
	var epoch int64 = -1
	if b := m.Brokers[id]; b != nil {
		epoch = b.Epoch
	}
	name := fmt.Sprint("t", r.IntN(3))
	switch r.IntN(16) {
	case 0, 1:
		return &fenceBroker{ID: id, Epoch: epoch}
	case 2, 3, 4:
		return &unfenceBroker{ID: id, Epoch: epoch, Applied: m.Index + 1000}
	case 5:
		c := &registerBroker{ID: id, PreviousEpoch: epoch - int64(r.IntN(2))}
		c.Incarnation[0], c.Incarnation[1] = byte(r.IntN(256)), byte(r.IntN(256))
		return c
	case 6:
		return &beginShutdown{ID: id, Epoch: epoch}
	case 7:
		if r.IntN(4) > 0 {
			return &electPeriodically{Preferred: r.IntN(2) == 0}
		}
		return &UnregisterBroker{Broker: id}
	case 8:
		return &createTopics{
			CreateTopics: CreateTopics{Topics: []NewTopic{{Name: name, Partitions: 2, ReplicationFactor: int16(1 + r.IntN(3))}}},
			IDs:          []log.TopicID{{byte(m.Index), byte(m.Index >> 8), 1}},
		}
	case 9:
		return &ElectLeaders{Unclean: r.IntN(2) == 0}
	case 10:
		return &AlterReassignments{AllowReplicationFactorChange: true, Partitions: []Reassignment{
			{PartitionRef{name, r.Int32N(2)}, someBrokers(r)},
		}}
	default:
		return randomChange(r, m, name)
	}
}

func someBrokers(r *rand.Rand) []int32 {
	if r.IntN(4) == 0 {
		return nil
	}
	list := []int32{1, 2, 3, 4}
	r.Shuffle(4, func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:1+r.IntN(3)]
}

// randomChange is a change of a topic's configs or of an ISR, or rarely of a
// feature or of what is there.
func randomChange(r *rand.Rand, m *Image, name string) applier {
	value := fmt.Sprint(1 + r.IntN(3))
	t := m.Topics[name]
	if t == nil || r.IntN(6) == 0 {
		switch r.IntN(8) {
		case 0:
			return &UpdateFeatures{Updates: []FeatureUpdate{{elrFeature, int16(r.IntN(2)), int8(1 + r.IntN(2))}}}
		case 1:
			return &DeleteTopics{Topics: []TopicRef{{Name: name}}}
		case 2:
			c := &ReportOffline{Broker: 1 + r.Int32N(4)}
			if b := m.Brokers[c.Broker]; b != nil {
				c.BrokerEpoch = b.Epoch
			}
			if t != nil {
				c.Partitions = []log.PartitionID{{Topic: t.ID}}
			}
			return c
		case 3, 4:
			yes := fmt.Sprint(r.IntN(2) == 0)
			return &AlterConfigs{Resources: []ResourceChange{{ConfigResource{Topic: name}, []ConfigChange{{Name: uncleanConfig, Value: &yes}}}}}
		default:
			return &AlterConfigs{Resources: []ResourceChange{{ConfigResource{Topic: name}, []ConfigChange{{Name: minISRConfig, Value: &value}}}}}
		}
	}
	i := r.IntN(len(t.Partitions))
	p := t.Partitions[i]
	c := &AlterPartition{
		Broker: p.Leader, Partition: log.PartitionID{Topic: t.ID, Partition: int32(i)},
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
	}
	if b := m.Brokers[p.Leader]; b != nil {
		c.BrokerEpoch = b.Epoch
	}
	for _, id := range p.Replicas {
		if id == p.Leader || r.IntN(3) > 0 {
			c.NewISR = append(c.NewISR, ISRMember{id, -1})
		}
	}
	return c
}
