package timeline_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// seedOf takes the seed of a randomised test from MINIKAFKA_SEED, or makes one,
// and prints it.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	return seed
}

// state is what a model remembers of one time.
type state struct {
	epoch int64
	maps  [2]map[int]int
	value string
}

func (s state) copy(epoch int64) state {
	return state{epoch, [2]map[int]int{maps.Clone(s.maps[0]), maps.Clone(s.maps[1])}, s.value}
}

// model is the timeline without its cleverness: it copies everything.
type model struct {
	now       state
	snapshots []state
}

// at is the state as of the newest snapshot at or before the epoch, or the oldest
// one that is known.
func (m *model) at(epoch int64) state {
	if epoch == timeline.Latest {
		return m.now
	}
	for _, s := range slices.Backward(m.snapshots) {
		if s.epoch <= epoch {
			return s
		}
	}
	if len(m.snapshots) > 0 {
		return m.snapshots[0]
	}
	return m.now
}

func TestTimelineIsWhatAModelIs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	for range 50 {
		steps(t, random)
	}
}

func steps(t *testing.T, random *rand.Rand) {
	t.Helper()
	r := timeline.NewRegistry()
	ms := [2]*timeline.Map[int, int]{timeline.NewMap[int, int](r), timeline.NewMap[int, int](r)}
	v := timeline.NewValue(r, "")
	m := &model{now: state{maps: [2]map[int]int{{}, {}}}}
	epoch := int64(0)
	for step := range 300 {
		which, key := random.IntN(2), random.IntN(6)
		switch n := random.IntN(20); {
		case n < 8:
			ms[which].Set(key, step)
			m.now.maps[which][key] = step
		case n < 12:
			ms[which].Delete(key)
			delete(m.now.maps[which], key)
		case n < 14:
			v.Set(strconv.Itoa(step))
			m.now.value = strconv.Itoa(step)
		case n == 14:
			ms[which].Clear()
			clear(m.now.maps[which])
		case n < 17:
			epoch += int64(random.IntN(3))
			r.Snapshot(epoch)
			if k := len(m.snapshots); k == 0 || m.snapshots[k-1].epoch != epoch {
				m.snapshots = append(m.snapshots, m.now.copy(epoch))
			}
		case n == 17 && len(m.snapshots) > 0:
			i := random.IntN(len(m.snapshots))
			epoch = m.snapshots[i].epoch
			r.Revert(epoch)
			m.now = m.snapshots[i].copy(0)
			m.snapshots = m.snapshots[:i+1]
		case n == 18 && len(m.snapshots) > 0:
			upTo := m.snapshots[random.IntN(len(m.snapshots))].epoch + int64(random.IntN(2))
			r.Release(upTo)
			for len(m.snapshots) > 0 && m.snapshots[0].epoch < upTo {
				m.snapshots = m.snapshots[1:]
			}
		}
		for at := int64(-1); at <= epoch+1; at++ {
			same(t, m.at(at), at, ms, v)
		}
		same(t, m.now, timeline.Latest, ms, v)
		if t.Failed() {
			return
		}
	}
}

func same(t *testing.T, want state, epoch int64, ms [2]*timeline.Map[int, int], v *timeline.Value[string]) {
	t.Helper()
	if got := v.At(epoch); got != want.value {
		t.Errorf("value at %d is %q, not %q", epoch, got, want.value)
	}
	for i, m := range ms {
		if got := maps.Collect(m.AllAt(epoch)); !maps.Equal(got, want.maps[i]) {
			t.Errorf("map at %d is %v, not %v", epoch, got, want.maps[i])
		}
		if got := m.LenAt(epoch); got != len(want.maps[i]) {
			t.Errorf("map at %d has %d keys, not %d", epoch, got, len(want.maps[i]))
		}
		for key := range 6 {
			got, ok := m.GetAt(epoch, key)
			if w, there := want.maps[i][key]; got != w || ok != there {
				t.Errorf("key %d at %d is %d, %t, not %d, %t", key, epoch, got, ok, w, there)
			}
		}
	}
}

func TestSnapshotsAscend(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*timeline.Registry){
		"an older snapshot":     func(r *timeline.Registry) { r.Snapshot(4) },
		"a return to nowhere":   func(r *timeline.Registry) { r.Revert(4) },
		"a return to the later": func(r *timeline.Registry) { r.Revert(6) },
	} {
		r := timeline.NewRegistry()
		r.Snapshot(5)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was accepted", name)
				}
			}()
			f(r)
		}()
	}
}

// TestMapsOfMaps has a map of maps, as groups and their members are.
func TestMapsOfMaps(t *testing.T) {
	t.Parallel()
	r := timeline.NewRegistry()
	groups := timeline.NewMap[string, *timeline.Map[string, int]](r)
	r.Snapshot(0)
	g := timeline.NewMap[string, int](r)
	groups.Set("g", g)
	g.Set("a", 1)
	r.Snapshot(1)
	g.Set("a", 2)
	g.Set("b", 3)
	old, ok := groups.GetAt(1, "g")
	if !ok {
		t.Fatal("the group is not there as of 1")
	}
	if got := maps.Collect(old.AllAt(1)); !maps.Equal(got, map[string]int{"a": 1}) {
		t.Errorf("members as of 1: %v", got)
	}
	if _, ok := groups.GetAt(0, "g"); ok {
		t.Error("the group is there as of 0")
	}
	r.Revert(1)
	if got := maps.Collect(g.All()); !maps.Equal(got, map[string]int{"a": 1}) {
		t.Errorf("members after the revert: %v", got)
	}
	r.Revert(0)
	if groups.Len() != 0 {
		t.Error("the group is there after the revert")
	}
}
