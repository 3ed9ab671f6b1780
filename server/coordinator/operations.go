package coordinator

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/log"
)

// What a record takes beside its key and value, and a batch beside its records, at
// most.
const (
	recordOverhead = 32
	batchOverhead  = 61
)

func writing[S Shard](op func(S) (Outcome, error), of producer) func(*partition[S], func(error)) {
	return func(p *partition[S], answer func(error)) { p.execute(op, of, answer) }
}

func running[S Shard](op func(S) (Outcome, error)) func(*partition[S], func(error)) {
	return func(p *partition[S], answer func(error)) {
		out, err := p.call(op)
		answer(err)
		if err == nil {
			p.write(out, noProducer, nil)
		}
	}
}

func reading[S Shard](op func(S, int64) error) func(*partition[S], func(error)) {
	return func(p *partition[S], answer func(error)) {
		_, err := p.call(func(s S) (Outcome, error) { return Outcome{}, op(s, p.writes.committed) })
		answer(err)
	}
}

func ending[S Shard](of producer, coordinatorEpoch int32, commit bool) func(*partition[S], func(error)) {
	return func(p *partition[S], answer func(error)) {
		p.fill()
		w := p.wait(answer)
		b := p.begin(of)
		b.control = true
		b.waiters = append(b.waiters, w)
		b.add(log.MarkerRecord(coordinatorEpoch, commit), time.Now())
		p.writes.next++
		err := p.replaying(func() error { return p.shard.ReplayMarker(of.id, of.epoch, commit) })
		if err != nil {
			p.abandon(b, err)
			return
		}
		p.fill()
	}
}

// execute runs an operation and writes its records. The answer is called at once
// with an error of the operation.
func (p *partition[S]) execute(op func(S) (Outcome, error), of producer, answer func(error)) {
	out, err := p.call(op)
	if err != nil {
		answer(err)
		return
	}
	p.write(out, of, answer)
}

// call runs an operation, of whose bugs the broker is not to die.
func (p *partition[S]) call(op func(S) (Outcome, error)) (out Outcome, err error) {
	if panicked := p.guarded("running an operation", func() { out, err = op(p.shard) }); panicked != nil {
		return Outcome{}, panicked
	}
	return out, err
}

// wait makes a waiter of an operation's answers, whose time runs from now on.
func (p *partition[S]) wait(answers ...func(error)) *waiter {
	w := &waiter{}
	for _, f := range answers {
		if f != nil {
			w.answers = append(w.answers, f)
		}
	}
	if d := p.rt.config.WriteTimeout; d > 0 {
		w.until = time.Now().Add(d)
		p.writes.timeouts = append(p.writes.timeouts, w)
	}
	return w
}

// write applies what an operation returned, and has it appended
// (CoordinatorContext.append).
func (p *partition[S]) write(out Outcome, of producer, answer func(error)) {
	var done func(error)
	if out.Done != nil {
		done = func(err error) { _ = p.guarded("completing an operation", func() { out.Done(err) }) }
	}
	if len(out.Records) == 0 {
		p.follow(p.wait(done, answer))
		return
	}
	if of != noProducer {
		p.fill()
		out.Splits = false
	}
	w := p.wait(done, answer)
	if !out.Splits && !p.makeRoom(out.Records...) {
		p.logger.Error("records of one operation are too large for a batch", "records", len(out.Records))
		w.finish(kerr.UnknownServerError) // RecordTooLargeException
		return
	}
	now := time.Now()
	for i, r := range out.Records {
		if out.Splits && !p.makeRoom(r) {
			p.logger.Error("a record is too large for a batch", "bytes", len(r.Key)+len(r.Value))
			w.finish(kerr.UnknownServerError)
			return
		}
		b := p.writes.open
		if b == nil {
			b = p.begin(of)
		}
		if i == len(out.Records)-1 {
			b.waiters = append(b.waiters, w)
		}
		if err := p.apply(out, r, of); err != nil {
			b.waiters = append(b.waiters, w)
			p.abandon(b, err)
			return
		}
		b.add(log.Record{Key: r.Key, Value: r.Value}, now)
		p.writes.next++
	}
	if of != noProducer {
		p.fill()
	}
}

func (p *partition[S]) apply(out Outcome, r Record, of producer) error {
	if out.Applied {
		return nil
	}
	at := Position{Offset: p.writes.next, ProducerID: of.id, ProducerEpoch: of.epoch}
	return p.replaying(func() error { return p.shard.Replay(at, r) })
}

func (p *partition[S]) replaying(f func() error) (err error) {
	if panicked := p.guarded("applying a record", func() { err = f() }); panicked != nil {
		return panicked
	}
	return err
}

// follow has an operation without records wait for all that was written before it.
func (p *partition[S]) follow(w *waiter) {
	switch b := p.writes.last(); {
	case b != nil:
		b.waiters = append(b.waiters, w)
	case p.writes.committed < p.writes.next:
		w.offset = p.writes.next
		p.writes.waiting = append(p.writes.waiting, w)
	default:
		w.finish(nil)
	}
}

// begin opens a batch.
func (p *partition[S]) begin(of producer) *batch {
	w := &p.writes
	p.timeline.Snapshot(w.next)
	w.open = &batch{base: w.next, bytes: batchOverhead, began: time.Now(), producer: of}
	return w.open
}

func (b *batch) add(r log.Record, now time.Time) {
	r.Timestamp = now.UnixMilli()
	b.records = append(b.records, r)
	b.bytes += sizeOf(r.Key, r.Value)
}

func sizeOf(key, value []byte) int { return recordOverhead + len(key) + len(value) }

// makeRoom closes the open batch if the records do not fit into it; it returns
// false when they are too many for any.
func (p *partition[S]) makeRoom(records ...Record) bool {
	most, size := p.log.MaxBatchBytes(), 0
	for _, r := range records {
		size += sizeOf(r.Key, r.Value)
	}
	if batchOverhead+size > most {
		return false
	}
	if b := p.writes.open; b != nil && b.bytes+size > most {
		p.fill()
	}
	return true
}

// abandon takes back a batch that was not applied as a whole, which is a bug of the
// shard's, with all that was built on it.
func (p *partition[S]) abandon(b *batch, err error) {
	p.logger.Error("a record cannot be applied", "error", err)
	p.writes.open = nil
	p.revert(b.base)
	b.fail(kerr.UnknownServerError)
}

func (p *partition[S]) revert(to int64) {
	p.timeline.Revert(to)
	p.writes.next = to
}
