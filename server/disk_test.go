package server_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// badDisk has the disk of one broker hang or fail, once it is told which.
type badDisk struct {
	hangs, fails atomic.Int32
}

func (d *badDisk) option(c *cluster) {
	c.timing.HungDisk = 100 * time.Millisecond
	c.disk = func(ctx context.Context, broker int32) error {
		switch broker {
		case d.hangs.Load():
			<-ctx.Done()
			return ctx.Err()
		case d.fails.Load():
			return errors.New("no space left on device")
		}
		return nil
	}
}

// A leader whose disk hangs is replaced, and can still be crashed.
func TestHungDisk(t *testing.T) {
	t.Parallel()
	var disk badDisk
	c := newCluster(t, 3, nil, disk.option)
	c.createTopic("t", 1, 3, map[string]string{"min.insync.replicas": "2"})
	c.inSync("t", 0, 3)
	leader := c.leader("t", 0)
	conn := c.dial(leader)
	disk.hangs.Store(leader)
	conn.send(produceRequest("t", 0, 1, batch("hangs")))
	hung := c.brokers[leader]
	delete(c.brokers, leader)
	next := c.leader("t", 0)
	if p := c.dial(next).produce(produceRequest("t", 0, -1, batch("goes on"))); p.ErrorCode != 0 || p.BaseOffset != 0 {
		t.Errorf("at the next leader: %+v", p)
	}
	hung.Crash()
	disk.hangs.Store(0)
	c.start(leader)
	c.ready(leader)
	c.inSync("t", 0, 3)
}

// A leader whose disk fails answers KAFKA_STORAGE_ERROR, and is replaced.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	var disk badDisk
	c := newCluster(t, 3, nil, disk.option)
	c.createTopic("t", 1, 3, map[string]string{"min.insync.replicas": "2"})
	c.inSync("t", 0, 3)
	leader := c.leader("t", 0)
	conn := c.dial(leader)
	disk.fails.Store(leader)
	if p := conn.produce(produceRequest("t", 0, 1, batch("fails"))); p.ErrorCode != 56 {
		t.Errorf("at the failing leader: %+v", p)
	}
	if p := conn.produce(produceRequest("t", 0, 1, batch("fails"))); p.ErrorCode != 56 && p.ErrorCode != 6 {
		t.Errorf("again: %+v", p)
	}
	failing := c.brokers[leader]
	delete(c.brokers, leader)
	next := c.leader("t", 0)
	if p := c.dial(next).produce(produceRequest("t", 0, -1, batch("goes on"))); p.ErrorCode != 0 {
		t.Errorf("at the next leader: %+v", p)
	}
	failing.Crash()
	disk.fails.Store(0)
	c.start(leader)
	c.ready(leader)
	c.inSync("t", 0, 3)
}
