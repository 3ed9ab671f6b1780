package coordinator

import (
	"github.com/minikafka/minikafka/log"
)

// fill closes the open batch: it will be appended as it is.
func (p *partition[S]) fill() {
	w := &p.writes
	if w.open == nil {
		return
	}
	w.full = append(w.full, w.open)
	w.open = nil
	p.timeline.Snapshot(w.next)
}

// takeOff has the next batch appended, if none is (CoordinatorContext.
// flushCurrentBatch). It does not wait for that. It is called between operations
// only: when the append fails, the state goes back, and with it what an operation
// has looked at.
func (p *partition[S]) takeOff() {
	w := &p.writes
	for w.flying == nil && len(w.full) > 0 && !w.astray {
		b := w.full[0]
		w.full[0] = nil
		w.full = w.full[1:]
		w.flying = b
		var err error
		if w.landing, err = p.append(b); err != nil {
			p.crash(err)
		}
	}
}

func (p *partition[S]) append(b *batch) (Appending, error) {
	raw, err := log.BuildBatch(b.records, log.BatchOptions{
		Codec: p.codec(b), ProducerID: b.id, ProducerEpoch: b.epoch, BaseSequence: -1,
		Transactional: b.producer != noProducer, Control: b.control, LeaderEpoch: -1,
	})
	if err != nil {
		return nil, err
	}
	parsed, _, err := log.ParseBatch(raw)
	if err != nil {
		return nil, err
	}
	return p.log.Append(parsed)
}

// codec is none for markers, as Kafka's are.
func (p *partition[S]) codec(b *batch) log.Codec {
	if b.control {
		return log.CodecNone
	}
	return p.rt.config.Codec
}

// land sees how the append under way has ended, if it has.
func (p *partition[S]) land() (ended bool) {
	w := &p.writes
	if w.landing == nil {
		return false
	}
	select {
	case <-w.landing.Stored():
	default:
		return false
	}
	last, err := w.landing.Last()
	if err != nil {
		p.crash(err)
		return true
	}
	b := w.flying
	end := b.base + int64(len(b.records))
	if last+1 != end {
		p.logger.Error("the log has more than the coordinator has written, who will load it again", "offset", last, "expected", end-1)
		w.astray = true
		return true
	}
	w.flying, w.landing = nil, nil
	w.written = end
	for _, l := range b.waiters {
		l.offset = end
	}
	w.waiting = append(w.waiting, b.waiters...)
	return true
}

// crash takes back what could not be appended, and what was built on it
// (CoordinatorContext.failCurrentBatch).
func (p *partition[S]) crash(err error) {
	told := clientError(err)
	p.logger.Warn("records were not appended", "error", err)
	lost := p.writes.lost()
	p.revert(lost[0].base)
	for _, b := range lost {
		b.fail(told)
	}
}
