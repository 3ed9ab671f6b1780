package election_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// startFile starts a controller on a file, and stops it.
func startFile(t *testing.T, path string) error {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { panic("hangs on a damaged file") })
	defer timer.Stop()
	n, err := election.StartController(election.ControllerConfig{
		ID: 1, Peers: ids(1), Fabric: fabric.New(), Path: path, Rules: catalogue{}, ClusterID: "test", Timing: fast(),
	})
	if err == nil {
		_ = n.Stop()
	}
	return err
}

// sampleFile is the file of a controller that was stopped.
func sampleFile(t *testing.T) []byte {
	t.Helper()
	c := newCluster(t, fast(), 1).run()
	defer c.stop()
	c.startBrokers(1)
	for i := range 20 {
		c.createTopic(c.brokers[1], fmt.Sprint("t", i), 10, 1, nil)
	}
	c.stop()
	b, err := os.ReadFile(c.path(1))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDamagedFiles changes bytes and cuts a controller's file at random: that is
// an error of the start, or does not matter.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("MINIKAFKA_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("MINIKAFKA_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	sample, path, found := sampleFile(t), filepath.Join(t.TempDir(), "x.db"), 0
	for range 150 {
		b := bytes.Clone(sample)
		switch r.IntN(4) {
		case 0:
			b = b[:r.IntN(len(b))]
		case 1: // a page of noise
			at := r.IntN(len(b)/4096) * 4096
			for i := at; i < at+4096; i++ {
				b[i] = byte(r.Uint32())
			}
		case 2: // one page in the place of another
			from, to := r.IntN(len(b)/4096)*4096, r.IntN(len(b)/4096)*4096
			copy(b[to:to+4096], b[from:from+4096])
		default:
			for range 1 + r.IntN(4) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		switch err := startFile(t, path); {
		case errors.Is(err, log.ErrCorruptFile):
			found++
		case err != nil && !errors.Is(err, log.ErrFormat):
			t.Errorf("a damaged file: %v", err)
		}
	}
	if found < 10 {
		t.Errorf("noticed in %d of 150 files", found)
	}
}

// TestDamagedValues changes each value of the file, whose pages stay whole.
func TestDamagedValues(t *testing.T) {
	t.Parallel()
	sample, path := sampleFile(t), filepath.Join(t.TempDir(), "x.db")
	type place struct{ bucket, key string }
	var all []place
	edit := func(fn func(*bolt.Tx) error) {
		t.Helper()
		if err := os.WriteFile(path, sample, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fn), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bolt.Bucket) error {
			return b.ForEach(func(k, _ []byte) error { all = append(all, place{string(name), string(k)}); return nil })
		})
	})
	if len(all) < 25 {
		t.Fatalf("%d values", len(all))
	}
	for _, p := range all {
		if p.bucket == "meta" {
			continue
		}
		edit(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(p.bucket))
			v := bytes.Clone(b.Get([]byte(p.key)))
			v[len(v)/2] ^= 4
			return b.Put([]byte(p.key), v)
		})
		if err := startFile(t, path); !errors.Is(err, log.ErrCorruptFile) {
			t.Errorf("%s %x: %v", p.bucket, p.key, err)
		}
	}
}
