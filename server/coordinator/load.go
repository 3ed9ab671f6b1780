package coordinator

import (
	"errors"
	"fmt"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/server/coordinator/timeline"
)

// load makes a shard of the log (CoordinatorLoaderImpl). It returns false when the
// partition was closed meanwhile, or cannot be loaded.
func (p *partition[S]) load() bool {
	select {
	case p.rt.loads <- struct{}{}:
		defer func() { <-p.rt.loads }()
	case <-p.ctx.Done():
		return false
	}
	began := time.Now()
	p.timeline = timeline.NewRegistry()
	p.timers = newTimers()
	p.writes = writes{}
	p.shard = p.rt.config.NewShard(p)
	var records int
	var err error
	if panicked := p.guarded("loading", func() { records, err = p.replayLog() }); panicked != nil {
		err = panicked
	}
	if err == nil {
		p.image = p.Image()
		err = p.guarded("loading", func() { p.shard.Loaded() })
	}
	if p.ctx.Err() != nil || p.closed() {
		p.unload()
		return false
	}
	if err != nil {
		p.logger.Error("the partition cannot be loaded: it has no coordinator", "error", err)
		p.enter(failed)
		p.unload()
		return false
	}
	p.logger.Debug("loaded", "records", records, "took", time.Since(began))
	p.serving = true
	p.enter(active)
	p.imageChanged() // of meanwhile
	p.rt.change.notify()
	return true
}

// replayLog applies the log from its start to its end as it is now. State above the
// high watermark is kept apart, by batches, as after appends.
func (p *partition[S]) replayLog() (records int, err error) {
	offset, end := p.log.Bounds()
	p.writes.next, p.writes.written = offset, offset
	for offset < end {
		if err := p.pass(); err != nil {
			return records, err
		}
		raw, err := p.log.Read(offset, end, p.rt.config.LoadBuffer)
		if start, _ := p.log.Bounds(); errors.Is(err, log.ErrOffsetOutOfRange) && start > offset {
			offset = start
			continue
		}
		if err != nil {
			return records, fmt.Errorf("offset %d: %w", offset, err)
		}
		if len(raw) == 0 {
			break // compacted
		}
		for len(raw) > 0 {
			var b log.Batch
			if b, raw, err = log.ParseBatch(raw); err != nil {
				return records, err
			}
			n, err := p.replayBatch(&b, offset)
			if err != nil {
				return records, fmt.Errorf("batch at %d: %w", b.BaseOffset, err)
			}
			records += n
			offset = b.BaseOffset + int64(b.LastOffset) + 1
			if err := p.ctx.Err(); err != nil {
				return records, err
			}
		}
	}
	p.writes.next, p.writes.written = end, end
	p.timeline.Snapshot(end)
	_ = p.commit()
	return records, nil
}

// replayBatch applies what of a batch lies at or after the offset.
func (p *partition[S]) replayBatch(b *log.Batch, from int64) (records int, err error) {
	next := b.BaseOffset + int64(b.LastOffset) + 1
	if committed, leads := p.log.HighWatermark(); !leads || next > committed {
		p.timeline.Snapshot(max(b.BaseOffset, from))
	}
	if b.Control() {
		return 0, p.replayControl(b)
	}
	list, err := log.Records(*b, 0)
	if err != nil {
		return 0, err
	}
	for i := range list {
		r := &list[i]
		if r.Offset < from {
			continue
		}
		at := Position{Offset: r.Offset, ProducerID: -1, ProducerEpoch: -1}
		if b.Transactional() {
			at.ProducerID, at.ProducerEpoch = b.ProducerID, b.ProducerEpoch
		}
		if err := p.shard.Replay(at, Record{Key: r.Key, Value: r.Value}); err != nil {
			return records, fmt.Errorf("record at %d: %w", r.Offset, err)
		}
		records++
	}
	return records, nil
}

func (p *partition[S]) replayControl(b *log.Batch) error {
	marker, err := b.Producer()
	if err != nil || marker == nil || !marker.Control {
		return err
	}
	return p.shard.ReplayMarker(marker.ProducerID, marker.ProducerEpoch, marker.Commit)
}
