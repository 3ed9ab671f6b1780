package replication_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minikafka/minikafka/replication"
	"github.com/minikafka/minikafka/replication/fabric"
)

// seed is MINIKAFKA_SEED, or another one every time.
func seed(t *testing.T) uint64 {
	s := uint64(time.Now().UnixNano())
	if v := os.Getenv("MINIKAFKA_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("MINIKAFKA_SEED: %v", err)
		}
		s = n
	}
	t.Logf("MINIKAFKA_SEED=%d", s)
	return s
}

// TestRandomFaults crashes, restarts, cuts off, holds, elects and raises the log
// start at random while records are produced, with clean elections only: what was
// acknowledged with acks=all and not deleted is kept, logs match entry by entry, and
// never have a hole (rule 2).
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	f := &faults{cluster: newCluster(t, 3, 2), rng: rand.New(rand.NewPCG(seed(t), 1)), acked: map[string]int64{}}
	for i := range 300 {
		f.step(i)
	}
	f.heal()
	f.waitSame()
	held := " " + f.contents(f.state.Leader)
	for v, offset := range f.acked {
		if offset < f.trimmed {
			continue
		}
		if !strings.Contains(held, fmt.Sprintf(" %d:", offset)) || !strings.Contains(held, ":"+v+" ") && !strings.HasSuffix(held, ":"+v) {
			t.Errorf("acknowledged with acks=all and lost: %s at offset %d", v, offset)
		}
	}
	t.Logf("%d records acknowledged with acks=all, %d held, final epoch %d", len(f.acked), len(strings.Fields(held)), f.state.LeaderEpoch)
}

type faults struct {
	*cluster
	rng     *rand.Rand
	acked   map[string]int64
	release func()
	trimmed int64 // the highest log start there was
}

func (f *faults) step(i int) {
	switch n := f.rng.IntN(21); {
	case n < 12:
		f.write(i)
	case n < 14:
		f.crashOne()
	case n < 16:
		f.startOne()
	case n == 16:
		f.hold()
	case n == 17:
		f.electAny()
	case n == 18:
		f.cut()
	case n == 19:
		f.trim()
	default:
		f.fabric.Heal()
	}
}

// write produces to the leader without waiting long.
func (f *faults) write(i int) {
	leader := f.state.Leader
	if leader < 0 || f.brokers[leader] == nil {
		return
	}
	acks := int16(1 - 2*f.rng.IntN(2))
	v := fmt.Sprintf("v%d", i)
	p, err := f.replica(leader).Append(f.batch(plain(), v), acks)
	if err != nil {
		if !errors.Is(err, replication.ErrNotEnoughReplicas) {
			f.t.Fatalf("append: %v\n%s", err, f)
		}
		return
	}
	if acks != -1 {
		<-p.Stored()
		return
	}
	select {
	case <-p.Committed():
		if a, err := p.Result(); err == nil {
			f.acked[v] = a.Base
		}
	case <-time.After(2 * time.Millisecond):
	}
}

// crashOne crashes a broker and does what the controller would: it leaves the
// ISR unless it is the last, and if it led, a member of the ISR does.
func (f *faults) crashOne() {
	ids := f.ids()
	if len(ids) == 0 {
		return
	}
	id := ids[f.rng.IntN(len(ids))]
	f.crash(id)
	f.change(func(a *replication.Assignment) {
		isr := slices.DeleteFunc(slices.Clone(a.ISR), func(b int32) bool { return b == id })
		if len(isr) > 0 {
			a.ISR = isr
		}
		if a.Leader == id {
			f.chooseLocked(a)
		}
	})
	f.publish()
}

// chooseLocked elects the first live member of the ISR, or nobody.
func (f *faults) chooseLocked(a *replication.Assignment) {
	a.Leader = -1
	a.LeaderEpoch++
	for _, b := range a.ISR {
		if _, alive := f.epochs[b]; alive {
			a.Leader = b
			return
		}
	}
}

func (f *faults) startOne() {
	for _, id := range f.rng.Perm(3) {
		if f.brokers[int32(id)] != nil {
			continue
		}
		f.start(int32(id))
		f.change(func(a *replication.Assignment) {
			if a.Leader == -1 {
				f.chooseLocked(a)
			}
		})
		f.publish()
		return
	}
}

func (f *faults) hold() {
	if f.release != nil {
		f.release()
		f.release = nil
		return
	}
	f.release = f.holds.Hold(f.id)
}

func (f *faults) electAny() {
	f.change(func(a *replication.Assignment) {
		isr := slices.Clone(a.ISR)
		f.rng.Shuffle(len(isr), func(i, j int) { isr[i], isr[j] = isr[j], isr[i] })
		for _, b := range isr {
			if _, alive := f.epochs[b]; alive {
				a.Leader = b
				a.LeaderEpoch++
				return
			}
		}
	})
	f.publish()
}

// trim raises the leader's log start, as retention does.
func (f *faults) trim() {
	leader := f.state.Leader
	if leader < 0 || f.brokers[leader] == nil {
		return
	}
	s := f.replica(leader).State()
	if s.HighWatermark <= s.LogStartOffset {
		return
	}
	to := s.LogStartOffset + 1 + f.rng.Int64N(s.HighWatermark-s.LogStartOffset)
	if err := f.replica(leader).RaiseLogStart(to); err != nil {
		f.t.Fatalf("log start to %d: %v\n%s", to, err, f)
	}
	f.trimmed = max(f.trimmed, to)
}

func (f *faults) cut() {
	a, b := int32(f.rng.IntN(3)), int32(f.rng.IntN(3))
	if a != b {
		f.fabric.Cut(fabric.Broker(a), fabric.Broker(b))
	}
}

func (f *faults) heal() {
	f.fabric.Heal()
	if f.release != nil {
		f.release()
	}
	for len(f.brokers) < 3 {
		f.startOne()
	}
	f.wait("all replicas to be in sync", func() bool {
		return f.state.Leader >= 0 && len(f.replica(f.state.Leader).State().ISR) == 3
	})
}
