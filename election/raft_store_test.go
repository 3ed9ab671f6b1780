package election

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// storeTest is a store with a few checks.
type storeTest struct {
	*store
	t    *testing.T
	path string
}

func newStoreTest(t *testing.T) *storeTest {
	t.Helper()
	s := &storeTest{t: t, path: filepath.Join(t.TempDir(), "controller-1.db")}
	s.open(true)
	t.Cleanup(func() { s.check(s.close(false)) })
	return s
}

func (s *storeTest) open(wantFresh bool) {
	s.t.Helper()
	opened, fresh, err := openStore(s.path)
	if err != nil || fresh != wantFresh {
		s.t.Fatalf("fresh %v, error %v", fresh, err)
	}
	s.store = opened
}

func (s *storeTest) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *storeTest) bounds(first, last uint64) {
	s.t.Helper()
	f, _ := s.FirstIndex()
	l, _ := s.LastIndex()
	if f != first || l != last {
		s.t.Errorf("bounds %d, %d, want %d, %d", f, l, first, last)
	}
}

// fill stores ten entries of term 7.
func (s *storeTest) fill() {
	s.t.Helper()
	for i := uint64(1); i <= 10; i += 2 {
		s.check(s.StoreLogs([]*raft.Log{
			{Index: i, Term: 7, Data: []byte(fmt.Sprint(i))}, {Index: i + 1, Term: 7, Type: raft.LogNoop},
		}))
	}
}

func TestStoredLog(t *testing.T) {
	t.Parallel()
	s := newStoreTest(t)
	s.bounds(0, 0)
	s.fill()
	s.bounds(1, 10)
	sink, err := snapshots{s.store}.Create(1, 2, 7, raft.Configuration{}, 1, nil)
	s.check(err)
	s.check(sink.Close())
	s.check(s.DeleteRange(1, 2))
	s.bounds(3, 10)
	s.check(s.DeleteRange(8, 10))
	s.bounds(3, 7)
	s.check(s.close(true))
	var l raft.Log
	if err := s.GetLog(5, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a closed store: %v", err)
	}
	if err := s.StoreLog(&raft.Log{Index: 8}); !errors.Is(err, errStoreClosed) {
		t.Errorf("a closed store: %v", err)
	}
	s.open(false)
	s.bounds(3, 7)
	if err := s.GetLog(5, &l); err != nil || l.Index != 5 || l.Term != 7 || l.Type != raft.LogCommand || string(l.Data) != "5" {
		t.Errorf("entry 5: %+v, %v", l, err)
	}
	if err := s.GetLog(2, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry 2: %v", err)
	}
	s.check(s.DeleteRange(3, 7))
	s.bounds(0, 0)
}

func TestStoredValues(t *testing.T) {
	t.Parallel()
	s := newStoreTest(t)
	s.check(s.SetUint64([]byte("CurrentTerm"), 7))
	s.check(s.close(false))
	s.open(false)
	if n, err := s.GetUint64([]byte("CurrentTerm")); err != nil || n != 7 {
		t.Errorf("term %d, %v", n, err)
	}
	if _, err := s.Get([]byte("none")); err == nil || err.Error() != "not found" {
		t.Errorf("an absent key: %v", err) // raft compares the words.
	}
}

func TestStoredSnapshot(t *testing.T) {
	t.Parallel()
	s := newStoreTest(t)
	if list, err := (snapshots{s.store}).List(); err != nil || len(list) != 0 {
		t.Errorf("snapshots %+v, %v", list, err)
	}
	for i, state := range []string{"older", "newest"} {
		sink, err := snapshots{s.store}.Create(1, uint64(2+i), 7, raft.Configuration{}, 1, nil)
		s.check(err)
		_, err = io.WriteString(sink, state)
		s.check(errors.Join(err, sink.Close()))
	}
	s.check(s.close(true))
	s.open(false)
	list, err := snapshots{s.store}.List()
	if err != nil || len(list) != 1 || list[0].Index != 3 || list[0].Size != 6 {
		t.Fatalf("snapshots %+v, %v", list, err)
	}
	_, r, err := snapshots{s.store}.Open(list[0].ID)
	s.check(err)
	if b, _ := io.ReadAll(r); string(b) != "newest" {
		t.Errorf("snapshot %q", b)
	}
}
