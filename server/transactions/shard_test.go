package transactions

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/coordinator"
)

const id = "tx"

var p0, p1 = Partition{"a", 0}, Partition{"b", 1} //nolint:gochecknoglobals // Constants in spirit.

func want(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestInitProducerID is rows T01, T02, T04 and T05.
func TestInitProducerID(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first := h.producer(id)
	if first.Epoch != 0 {
		t.Errorf("the first epoch is %d", first.Epoch)
	}
	second := h.producer(id)
	if second.ProducerID != first.ProducerID || second.Epoch != 1 {
		t.Errorf("the second producer got %d, epoch %d; the first %d, epoch %d", second.ProducerID, second.Epoch, first.ProducerID, first.Epoch)
	}
	_, err := h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1, TimeoutMs: 900_001})
	want(t, "a timeout above the limit", err, kerr.InvalidTransactionTimeout)
	_, err = h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1, TimeoutMs: -1})
	want(t, "a negative timeout", err, kerr.InvalidTransactionTimeout)
	_, err = h.init(InitRequest{ProducerID: -1, Epoch: -1})
	want(t, "no id", err, kerr.InvalidRequest)
}

// TestInitWithEpoch is KIP-360: a producer that says which epoch it has.
func TestInitWithEpoch(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	bumped, err := h.init(InitRequest{ID: id, ProducerID: p.ProducerID, Epoch: 0})
	if err != nil || bumped.Epoch != 1 {
		t.Fatalf("epoch %v, error %v; want 1", bumped, err)
	}
	again, err := h.init(InitRequest{ID: id, ProducerID: p.ProducerID, Epoch: 0})
	if err != nil || again.Epoch != 1 {
		t.Errorf("the same request again: epoch %v, error %v; want 1", again, err)
	}
	h.producer(id)
	_, err = h.init(InitRequest{ID: id, ProducerID: p.ProducerID, Epoch: 0})
	want(t, "an old epoch", err, kerr.ProducerFenced)
	_, err = h.init(InitRequest{ID: id, ProducerID: p.ProducerID + 1, Epoch: 2})
	want(t, "another producer id", err, kerr.ProducerFenced)
}

// TestFencing is row T03: another producer of the id while a transaction is open.
func TestFencing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	want(t, "add", h.add(p, 2, p0), nil)
	_, err := h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1})
	want(t, "the second producer, at first", err, kerr.ConcurrentTransactions)
	if s := h.state(id); s.State != PrepareAbort || s.Epoch != p.Epoch+1 {
		t.Fatalf("%v, epoch %d", s.State, s.Epoch)
	}
	end := EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: true}
	_, err = h.endTxn(end)
	want(t, "EndTxn v4 of the first", err, kerr.ProducerFenced)
	end.Version = 2
	_, err = h.endTxn(end)
	want(t, "EndTxn v5 of the first", err, kerr.ConcurrentTransactions)
	want(t, "add of the first", h.add(p, 2, p1), kerr.ConcurrentTransactions)
	h.markers()
	_, err = h.endTxn(end)
	want(t, "EndTxn v5 of the first, after the abort", err, kerr.InvalidTxnState)
	want(t, "add of the first, after the abort", h.add(p, 2, p1), kerr.ProducerFenced)
	second := h.producer(id)
	if second.Epoch != p.Epoch+2 {
		t.Errorf("the second producer has epoch %d, want %d", second.Epoch, p.Epoch+2)
	}
	_, err = h.endTxn(end)
	want(t, "EndTxn v5 of the first, in the end", err, kerr.ProducerFenced)
}

// ends is what EndTxn answers in each state (semantics of KIP-890): by version 5,
// with the current epoch and with the one before it.
func TestEndTransactionByState(t *testing.T) {
	t.Parallel()
	concurrent, fenced, invalid := error(kerr.ConcurrentTransactions), error(kerr.ProducerFenced), error(kerr.InvalidTxnState)
	for _, c := range []struct {
		state                                          State
		commitBefore, commitNow, abortBefore, abortNow error
	}{
		{Empty, fenced, invalid, fenced, nil},
		{Ongoing, fenced, nil, fenced, nil},
		{PrepareCommit, concurrent, concurrent, concurrent, concurrent},
		{PrepareAbort, concurrent, concurrent, concurrent, concurrent},
		{CompleteCommit, nil, invalid, invalid, nil},
		{CompleteAbort, invalid, invalid, nil, nil},
	} {
		for _, try := range []struct {
			commit bool
			before bool
			want   error
		}{{true, true, c.commitBefore}, {true, false, c.commitNow}, {false, true, c.abortBefore}, {false, false, c.abortNow}} {
			t.Run(fmt.Sprintf("%v/commit=%v/before=%v", c.state, try.commit, try.before), func(t *testing.T) {
				t.Parallel()
				h := newHarness(t)
				h.producer(id)
				h.producer(id) // so that there is an epoch before
				h.reach(c.state)
				s := h.state(id)
				epoch := s.Epoch
				if try.before {
					epoch--
				}
				got, err := h.endTxn(EndRequest{ID: id, ProducerID: s.ProducerID, Epoch: epoch, Commit: try.commit, Version: 2})
				want(t, "EndTxn", err, try.want)
				if err != nil {
					return
				}
				next := s.Epoch + 1
				if try.before {
					next = s.Epoch
				}
				if got.Epoch != next {
					t.Errorf("the answer has epoch %d, want %d", got.Epoch, next)
				}
			})
		}
	}
}

// reach brings the id into a state, from Empty.
func (h *harness) reach(s State) {
	h.Helper()
	if s == Empty {
		return
	}
	t := h.state(id)
	if err := h.add(t, 2, p0); err != nil {
		h.Fatal(err)
	}
	if s == Ongoing {
		return
	}
	if _, err := h.endTxn(EndRequest{
		ID: id, ProducerID: t.ProducerID, Epoch: t.Epoch, Commit: s == PrepareCommit || s == CompleteCommit, Version: 2,
	}); err != nil {
		h.Fatal(err)
	}
	if !s.decided() {
		h.markers()
	}
	if got := h.state(id).State; got != s {
		h.Fatalf("state %v, want %v", got, s)
	}
}

// TestEndTransactionWithoutBump is rows T12 to T17, as clients before KIP-890 see
// them.
func TestEndTransactionWithoutBump(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	end := EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: true}
	_, err := h.endTxn(end)
	want(t, "in Empty", err, kerr.InvalidTxnState)
	want(t, "add", h.add(p, 0, p0, p1), nil)
	_, err = h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch + 1, Commit: true})
	want(t, "wrong epoch", err, kerr.ProducerFenced)
	_, err = h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID + 1, Epoch: p.Epoch, Commit: true})
	want(t, "wrong producer id", err, kerr.InvalidProducerIDMapping)
	got, err := h.endTxn(end)
	want(t, "in Ongoing", err, nil)
	if got.Epoch != p.Epoch {
		t.Errorf("the epoch became %d", got.Epoch)
	}
	if d := h.decisions[0]; !d.Commit || !reflect.DeepEqual(d.Partitions, []Partition{p0, p1}) || d.Epoch != p.Epoch {
		t.Errorf("decided: %+v", d)
	}
	_, err = h.endTxn(end)
	want(t, "again, markers outstanding", err, kerr.ConcurrentTransactions)
	want(t, "add, markers outstanding", h.add(p, 0, p0), kerr.ConcurrentTransactions)
	h.markers()
	_, err = h.endTxn(end)
	want(t, "again", err, nil)
	end.Commit = false
	_, err = h.endTxn(end)
	want(t, "abort after commit", err, kerr.InvalidTxnState)
}

// TestNothingCountsBeforeItIsCommitted: a step that is not replicated yet holds up
// the next, and no marker is written for it.
func TestNothingCountsBeforeItIsCommitted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	want(t, "add", h.add(p, 2, p0), nil)
	h.holding = true
	end := EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: true, Version: 2}
	_, err := h.endTxn(end)
	want(t, "commit", err, nil)
	if len(h.decisions) > 0 {
		t.Error("markers are written before the decision is committed")
	}
	_, err = h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1})
	want(t, "another producer meanwhile", err, kerr.ConcurrentTransactions)
	described := func(want State) {
		t.Helper()
		found, _, err := h.Describe(id)
		if err != nil || found.State != want {
			t.Errorf("described as %v, %v, want %v", found, err, want)
		}
		if l := h.List(func(*Transaction) bool { return true }); len(l) != 1 || l[0].State != want {
			t.Errorf("listed as %v, want %v", l, want)
		}
	}
	described(Ongoing)
	h.release(nil)
	if len(h.decisions) != 1 {
		t.Errorf("%d decisions", len(h.decisions))
	}
	described(PrepareCommit)
	h.holding = true
	h.markers()
	described(PrepareCommit)
	h.release(nil)
	described(CompleteCommit)
}

// TestVerifyBeforeItIsCommitted: nobody may write where the next coordinator would write
// no marker.
func TestVerifyBeforeItIsCommitted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	want(t, "add", h.add(p, 0, p0), nil)
	h.holding = true
	want(t, "add one more", h.add(p, 0, p1), nil)
	for _, settled := range []bool{false, true} {
		errs, err := h.Verify(AddRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Partitions: []Partition{p0, p1}})
		want(t, "verify", err, nil)
		want(t, "one that is in it", errs[0], nil)
		second := error(nil)
		if !settled {
			second = kerr.TransactionAbortable
		}
		want(t, "one that was added", errs[1], second)
		h.release(nil)
	}
}

// TestNextCoordinatorGoesOn is row T19: what was decided is finished by whoever
// loads it.
func TestNextCoordinatorGoesOn(t *testing.T) {
	t.Parallel()
	for _, level := range []int16{0, 1, 2} {
		h := newHarness(t)
		h.level = level
		p := h.producer(id)
		want(t, "add", h.add(p, level, p0, p1), nil)
		_, err := h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: true, Version: level})
		want(t, "commit", err, nil)
		next := newHarness(t, h.log...)
		if len(next.decisions) != 1 || !reflect.DeepEqual(next.decisions[0].Partitions, []Partition{p0, p1}) || !next.decisions[0].Commit {
			t.Fatalf("level %d: the next coordinator decided %+v", level, next.decisions)
		}
		next.markers()
		if s := next.state(id); s.State != CompleteCommit || len(s.Partitions) > 0 {
			t.Errorf("level %d: %+v", level, s)
		}
	}
}

// TestTimeout is row T24.
func TestTimeout(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	h.advance(59 * time.Second)
	want(t, "add", h.add(p, 2, p0), nil) // the timer starts here
	h.advance(59 * time.Second)
	if s := h.state(id).State; s != Ongoing {
		t.Fatalf("%v before its time", s)
	}
	h.advance(11 * time.Second)
	s := h.state(id)
	if s.State != PrepareAbort || s.Epoch != p.Epoch+1 || len(h.decisions) != 1 || h.decisions[0].Commit {
		t.Fatalf("%v, epoch %d, decided %+v", s.State, s.Epoch, h.decisions)
	}
	h.markers()
	_, err := h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: false, Version: 2})
	want(t, "EndTxn v5 abort", err, nil)
	_, err = h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Commit: true, Version: 2})
	want(t, "EndTxn v5 commit", err, kerr.InvalidTxnState)
	_, err = h.endTxn(EndRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch})
	want(t, "EndTxn v4", err, kerr.ProducerFenced)
	want(t, "add", h.add(p, 2, p0), kerr.ProducerFenced)
}

// TestExpiry: an id that nobody uses is forgotten after seven days.
func TestExpiry(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	h.producer("open")
	h.advance(6 * 24 * time.Hour)
	want(t, "add", h.add(h.state("open"), 2, p0), nil)
	h.state("open").TimeoutMs = 900_000 // not what this is about
	h.advance(25 * time.Hour)
	want(t, "an expired id", h.add(p, 2, p0), kerr.InvalidProducerIDMapping)
	if _, _, err := h.Describe(id); !errors.Is(err, kerr.TransactionalIDNotFound) {
		t.Errorf("describe: %v", err)
	}
	if next := newHarness(t, h.log...); next.ids.Len() != 1 {
		t.Errorf("the next coordinator knows %d ids", next.ids.Len())
	}
}

// TestEpochsRunOut: the producer id changes with the last epoch, and the same
// request again is known.
func TestEpochsRunOut(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	last := *p
	last.Epoch = 32766
	h.ids.Set(id, &last)
	want(t, "add", h.add(&last, 2, p0), nil)
	end := EndRequest{ID: id, ProducerID: last.ProducerID, Epoch: last.Epoch, Commit: true, Version: 2}
	next, err := h.endTxn(end)
	if err != nil || next.ProducerID == last.ProducerID || next.Epoch != 0 {
		t.Fatalf("%+v, %v", next, err)
	}
	if d := h.decisions[0]; d.ProducerID != last.ProducerID || d.Epoch != 32767 {
		t.Errorf("the markers have %d, epoch %d", d.ProducerID, d.Epoch)
	}
	h.markers()
	again, err := h.endTxn(end)
	if err != nil || again.ProducerID != next.ProducerID || again.Epoch != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	exhaust := *h.state(id)
	exhaust.Epoch = 32766
	h.ids.Set(id, &exhaust)
	if p := h.producer(id); p.ProducerID == exhaust.ProducerID || p.Epoch != 0 {
		t.Errorf("InitProducerId: %d, epoch %d after %d", p.ProducerID, p.Epoch, exhaust.ProducerID)
	}
}

// TestVerify is row T09.
func TestVerify(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.producer(id)
	want(t, "add", h.add(p, 0, p0), nil)
	errs, err := h.Verify(AddRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch, Partitions: []Partition{p0, p1}})
	want(t, "verify", err, nil)
	want(t, "one that is in it", errs[0], nil)
	want(t, "one that is not", errs[1], kerr.TransactionAbortable)
	_, err = h.Verify(AddRequest{ID: id, ProducerID: p.ProducerID, Epoch: p.Epoch + 1, Partitions: []Partition{p0}})
	want(t, "another epoch", err, kerr.ProducerFenced)
	_, err = h.Verify(AddRequest{ID: "other", Partitions: []Partition{p0}})
	want(t, "an unknown id", err, kerr.InvalidProducerIDMapping)
}

// TestRandomRequests: whatever is asked in whatever order, epochs never fall, only
// decided transactions have markers, and the log says what the memory says.
func TestRandomRequests(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MINIKAFKA_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	h := newHarness(t)
	h.producer(id)
	for range 5000 {
		before := h.state(id)
		epoch := before.Epoch - int16(r.IntN(3)) + 1
		version := int16(r.IntN(3))
		switch r.IntN(7) {
		case 0:
			_, _ = h.init(InitRequest{ID: id, ProducerID: -1, Epoch: -1})
		case 1:
			_, _ = h.init(InitRequest{ID: id, ProducerID: before.ProducerID, Epoch: max(epoch, 0)})
		case 2:
			_ = h.add(&Transaction{ID: id, ProducerID: before.ProducerID, Epoch: epoch}, version, Partition{"a", int32(r.IntN(3))})
		case 3, 4:
			_, _ = h.endTxn(EndRequest{ID: id, ProducerID: before.ProducerID, Epoch: epoch, Commit: r.IntN(2) == 0, Version: version})
		case 5:
			if len(h.decisions) > 0 {
				h.markers()
			}
		case 6:
			h.advance(time.Duration(r.IntN(20)) * time.Second)
		}
		after := h.state(id)
		if after.ProducerID == before.ProducerID && after.Epoch < before.Epoch {
			t.Fatalf("epoch %d after %d", after.Epoch, before.Epoch)
		}
		if len(h.decisions) > 1 || len(h.decisions) == 1 != after.State.decided() {
			t.Fatalf("%v with %d decisions", after.State, len(h.decisions))
		}
		loaded, err := decodeValue(id, h.log[len(h.log)-1].Value)
		if err != nil {
			t.Fatal(err)
		}
		known := *after
		known.LastEpoch = noEpoch // not in the log
		if len(loaded.Partitions)+len(known.Partitions) > 0 && !reflect.DeepEqual(*loaded, known) {
			t.Fatalf("the log has %+v, memory %+v", *loaded, known)
		}
	}
}

// TestUnknownRecords: a log that this version does not understand is refused.
func TestUnknownRecords(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, r := range []coordinator.Record{
		{Key: []byte{0}}, {Key: []byte{0, 7, 0, 1, 'x'}}, {Key: encodeKey("x"), Value: []byte{0, 9}}, {Key: encodeKey("x"), Value: []byte{0, 0, 1}},
	} {
		if err := h.Replay(coordinator.Position{}, r); !errors.Is(err, errRecord) {
			t.Errorf("%v: %v", r, err)
		}
	}
}
