package minikafka

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/minikafka/minikafka/server"
)

// Disk says what is wrong with a broker's disk; the zero value is a good one.
//
// A write is a group commit: appends of all partitions that come together. A
// sync is what flush.messages and flush.ms ask for; without them there is none. A
// read is one of a client: a fetch of records, or a search by time; followers
// read what is new, which no disk is asked for.
//
// On the first error the request is answered with KAFKA_STORAGE_ERROR, and the
// broker halts: it has one log directory, and a Kafka broker ends when its last
// one has failed. [Broker.State] is [Halted] then, other brokers take over as
// after a crash, and [Broker.Restart] starts it again over its file.
type Disk struct {
	// SlowWrites, SlowSyncs and SlowReads is what each takes longer. While a write
	// takes longer than the lag allows (5 s at least) the disk counts as one that
	// hangs: other brokers lead.
	SlowWrites time.Duration `json:"slow_writes_ns,omitempty"`
	SlowSyncs  time.Duration `json:"slow_syncs_ns,omitempty"`
	SlowReads  time.Duration `json:"slow_reads_ns,omitempty"`
	// FailWrite, FailSync and FailRead have the n-th of them fail with EIO,
	// counted from the call of [Broker.Disk] on, and of writes those that hold
	// records; 0 has none fail.
	FailWrite int `json:"fail_write,omitempty"`
	FailSync  int `json:"fail_sync,omitempty"`
	FailRead  int `json:"fail_read,omitempty"`
	// FullAfter has writes fail with ENOSPC that would bring the bytes of batches
	// written since the call to more than this; 0 means that there is room.
	FullAfter int64 `json:"full_after,omitempty"`
}

// String is what is wrong, in words; "" when nothing is.
func (d Disk) String() string {
	var parts []string
	for _, p := range []struct {
		wrong bool
		text  string
	}{
		{d.SlowWrites > 0, fmt.Sprintf("writes take %v longer", d.SlowWrites)},
		{d.SlowSyncs > 0, fmt.Sprintf("syncs take %v longer", d.SlowSyncs)},
		{d.SlowReads > 0, fmt.Sprintf("reads take %v longer", d.SlowReads)},
		{d.FailWrite > 0, fmt.Sprintf("write %d fails", d.FailWrite)},
		{d.FailSync > 0, fmt.Sprintf("sync %d fails", d.FailSync)},
		{d.FailRead > 0, fmt.Sprintf("read %d fails", d.FailRead)},
		{d.FullAfter > 0, fmt.Sprintf("full after %d bytes", d.FullAfter)},
	} {
		if p.wrong {
			parts = append(parts, p.text)
		}
	}
	return strings.Join(parts, ", ")
}

func (d Disk) check() error {
	for name, n := range map[string]int64{
		"SlowWrites": int64(d.SlowWrites), "SlowSyncs": int64(d.SlowSyncs), "SlowReads": int64(d.SlowReads),
		"FailWrite": int64(d.FailWrite), "FailSync": int64(d.FailSync), "FailRead": int64(d.FailRead), "FullAfter": d.FullAfter,
	} {
		if n < 0 {
			return fmt.Errorf("%w: Disk: %s is negative", ErrArgument, name)
		}
	}
	return nil
}

// Disk makes the broker's disk bad, or good again with Disk{}: what waits for a
// slow disk then goes on at once. The disk stays as it is through crashes and
// restarts.
func (b *Broker) Disk(d Disk) {
	b.cluster.tb.Helper()
	b.cluster.checkOpen()
	b.cluster.check(d.check())
	b.place.disk.set(d)
	b.cluster.cluster.changed.signal()
}

// disk is a broker's disk, which outlives its lives.
type disk struct {
	path string
	// bad is a fast look; what is guarded has the truth.
	bad atomic.Bool

	mu      sync.Mutex // guards what follows
	is      Disk
	uses    map[server.DiskUse]int
	written int64
	changed chan struct{} // closed by set
}

func newDisk(path string) *disk {
	return &disk{path: path, uses: map[server.DiskUse]int{}, changed: make(chan struct{})}
}

func (d *disk) set(is Disk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is, d.written = is, 0
	d.bad.Store(is != Disk{})
	clear(d.uses)
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *disk) now() Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.is
}

// use is server.Config.Disk.
func (d *disk) use(ctx context.Context, use server.DiskUse, bytes int) error {
	if !d.bad.Load() {
		return nil
	}
	takes, changed, err := d.count(use, bytes)
	if takes > 0 {
		t := time.NewTimer(takes)
		defer t.Stop()
		select {
		case <-t.C:
		case <-changed:
			return nil // it is good again
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// count tells what becomes of one use.
func (d *disk) count(use server.DiskUse, bytes int) (takes time.Duration, changed <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fails := 0
	switch use {
	case server.DiskWrite:
		takes, fails = d.is.SlowWrites, d.is.FailWrite
		d.written += int64(bytes)
		if d.is.FullAfter > 0 && d.written > d.is.FullAfter {
			return takes, d.changed, &fs.PathError{Op: "write", Path: d.path, Err: syscall.ENOSPC}
		}
	case server.DiskSync:
		takes, fails = d.is.SlowSyncs, d.is.FailSync
	case server.DiskRead:
		takes, fails = d.is.SlowReads, d.is.FailRead
	}
	if use != server.DiskWrite || bytes > 0 {
		d.uses[use]++
		if d.uses[use] == fails {
			err = &fs.PathError{Op: useName(use), Path: d.path, Err: syscall.EIO}
		}
	}
	return takes, d.changed, err
}

func useName(use server.DiskUse) string {
	switch use {
	case server.DiskSync:
		return "sync"
	case server.DiskRead:
		return "read"
	default:
		return "write"
	}
}

// diskFailed halts the life of the broker that met the error, in the background:
// the broker waits for nobody here.
func (n *brokerNode) diskFailed(life int) func(error) {
	c := n.cluster
	return func(error) {
		n.setHalting(1)
		c.halting.Go(func() {
			defer c.changed.signal()
			defer n.setHalting(-1)
			ctx, cancel := c.deadline()
			defer cancel()
			err := n.within(ctx, func() error {
				if n.lifeNow() != life {
					return nil
				}
				return n.end(ctx, Halted)
			})
			if err != nil {
				c.logger.Error("cannot halt a broker whose disk has failed", "broker", n.plan.id, "error", err)
			}
		})
	}
}

func (n *brokerNode) setHalting(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.halting += by
}

// isHalting tells whether the broker is about to halt.
func (n *brokerNode) isHalting() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.halting > 0
}

// lifeNow is the number of the life that runs, or 0.
func (n *brokerNode) lifeNow() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life == nil {
		return 0
	}
	return n.lives
}
