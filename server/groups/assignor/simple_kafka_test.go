package assignor_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/groups/assignor"
)

// simpleCase is a share group whose members and partitions change from step to
// step, with what the SimpleAssignor of Kafka 4.4.0 made of it.
type simpleCase struct {
	Topics []string
	Steps  []struct {
		Partitions []int
		Members    map[string]struct {
			Subscribed []int
			Assigned   [][]int32 // by topic
		}
	}
}

// TestSimpleIsKafkas compares with what Kafka's own class assigned: random groups,
// whose members have ids like those of Java's client.
func TestSimpleIsKafkas(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "simple.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		var c simpleCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		checkSimple(t, n, c)
	}
}

func checkSimple(t *testing.T, n int, c simpleCase) {
	t.Helper()
	ids := make([]log.TopicID, len(c.Topics))
	for i, s := range c.Topics {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		copy(ids[i][:], b)
	}
	before := map[string]assignor.Assignment{}
	for k, step := range c.Steps {
		g := assignor.ShareGroup{Homogeneous: true, Partitions: map[log.TopicID][]int32{}}
		for i, id := range ids {
			for p := range int32(step.Partitions[i]) {
				g.Partitions[id] = append(g.Partitions[id], p)
			}
		}
		var first []int
		want := map[string]assignor.Assignment{}
		for id, m := range step.Members {
			topics := map[log.TopicID]struct{}{}
			for _, i := range m.Subscribed {
				topics[ids[i]] = struct{}{}
			}
			if first == nil {
				first = m.Subscribed
			}
			g.Homogeneous = g.Homogeneous && slices.Equal(first, m.Subscribed)
			g.Members = append(g.Members, assignor.Member{ID: id, Topics: topics, Assigned: before[id]})
			want[id] = assignor.Assignment{}
			for i, ps := range m.Assigned {
				if len(ps) > 0 {
					want[id][ids[i]] = ps
				}
			}
		}
		got := assignor.Simple{}.Assign(g)
		for id, a := range got {
			if !a.Equal(want[id]) {
				t.Errorf("line %d, step %d (homogeneous: %v), member %s: %v, want %v", n, k, g.Homogeneous, id, a, want[id])
			}
		}
		before = want
	}
}
