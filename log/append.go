package log

import (
	"encoding/binary"
	"fmt"
)

// Append stores entries that follow the last one without a hole, and returns
// when they are written (and synced, where asked). With assign, this replica
// leads: each batch gets its base offset and leader epoch (Term-1) written into
// Data, and Base and Last are set, before anything is stored; without, entries
// are stored as received, and refused (ErrHole) where an index, a term or an
// offset does not follow the log end. Base and Last of control entries are set
// in both cases. The slice's elements are updated in place. Data belongs to the
// log from then on, and must not be changed; of small entries it is a copy.
func (p *Partition) Append(entries []Entry, assign bool) error {
	if len(entries) == 0 {
		return nil
	}
	size := 0
	for i := range entries {
		if err := checkFraming(&entries[i]); err != nil {
			return p.wrap(err)
		}
		size += len(entries[i].Data)
	}
	err := p.db.w.submit(&request{bytes: size, run: func(t *txn) error { return t.append(p, entries, assign) }})
	if err != nil {
		return p.wrap(err)
	}
	return nil
}

// checkFraming refuses an entry whose data is not what its kind says.
func checkFraming(e *Entry) error {
	switch e.Kind {
	case KindControl:
		return nil
	case KindStub:
		if len(e.Data) > 0 || e.Last < e.Base {
			return fmt.Errorf("%w: a stub with data, or without offsets", ErrCorruptMessage)
		}
		return nil
	case KindBatch:
		b, rest, err := ParseBatch(e.Data)
		if err == nil && (len(rest) > 0 || b.LastOffset < 0) {
			err = fmt.Errorf("%w: an entry is one whole batch", ErrCorruptMessage)
		}
		return err
	default:
		return fmt.Errorf("%w: entry of kind %d", ErrCorruptMessage, e.Kind)
	}
}

func (t *txn) append(p *Partition, entries []Entry, assign bool) error {
	d, err := t.draft(p)
	if err != nil {
		return err
	}
	if err := d.follows(entries, assign); err != nil {
		return err
	}
	if err := t.touch(d); err != nil {
		return err
	}
	if err := t.snapshot(d); err != nil {
		return err
	}
	bucket, err := t.bucket(d)
	if err != nil {
		return err
	}
	hw := p.HighWatermark()
	added := make([]stored, len(entries))
	var batches []ProducerBatch
	for i := range entries {
		e := &entries[i]
		pb, err := d.place(e, assign)
		if err != nil {
			return err
		}
		h := d.headerFor(e, pb != nil)
		h.highWatermark, h.appendedMs = hw, t.nowMs
		t.changes++
		if e.Data, err = putEntry(bucket, e.Index, &h, e.Data); err != nil {
			return err
		}
		added[i] = stored{header: h, index: e.Index, data: e.Data}
		if err := t.startEpoch(d, e); err != nil {
			return err
		}
		d.tail = added[i].tail(&d.meta)
		if pb != nil {
			batches = append(batches, *pb)
		}
	}
	d.publish = append(d.publish, func() { p.appended(added, batches, hw) })
	return nil
}

// appended takes the stored entries into memory. Called with the partition's
// lock.
func (p *Partition) appended(entries []stored, batches []ProducerBatch, hw int64) {
	p.cache.add(entries)
	p.storedHW = hw
	for i := range batches {
		p.addProducerBatch(&batches[i])
	}
}

// follows checks that the entries can follow the log end. It changes nothing.
func (d *draft) follows(entries []Entry, assign bool) error {
	index, term, end := d.tail.index, d.tail.term, d.tail.end
	empty := d.tail.empty(&d.meta)
	for i := range entries {
		e := &entries[i]
		if e.Index != index+1 || e.Term < term {
			return fmt.Errorf("%w: (index %d, term %d) after (%d, %d)", ErrHole, e.Index, e.Term, index, term)
		}
		if assign && e.Kind == KindStub {
			return fmt.Errorf("%w: a leader does not append stubs", ErrHole)
		}
		base, last := end, end-1
		switch {
		case e.Kind == KindControl:
		case assign:
			last = base + int64(lastOffsetDelta(e.Data))
		case e.Kind == KindBatch:
			base = int64(binary.BigEndian.Uint64(e.Data))
			last = base + int64(lastOffsetDelta(e.Data))
		default:
			base, last = e.Base, e.Last
		}
		// The batch that holds the log start may begin below it.
		holdsStart := empty && i == 0 && last+1 >= end
		if base < end && !holdsStart {
			return fmt.Errorf("%w: offsets %d-%d, log end %d", ErrHole, base, last, end)
		}
		index, term, end = e.Index, e.Term, max(end, last+1)
	}
	return nil
}

// place gives the entry its offsets. It returns what the producer state must
// know of it, nil for nothing.
func (d *draft) place(e *Entry, assign bool) (*ProducerBatch, error) {
	switch {
	case e.Kind == KindControl:
		e.Base, e.Last = d.tail.end, d.tail.end-1
		return nil, nil
	case e.Kind == KindStub:
		return nil, nil
	case assign:
		binary.BigEndian.PutUint64(e.Data, uint64(d.tail.end))
		binary.BigEndian.PutUint32(e.Data[batchEpochAt:], uint32(int32(e.Term-1)))
	}
	e.Base = int64(binary.BigEndian.Uint64(e.Data))
	e.Last = e.Base + int64(lastOffsetDelta(e.Data))
	return producerBatchOf(e.Data)
}

func (d *draft) headerFor(e *Entry, producer bool) header {
	h := header{
		kind: e.Kind, term: e.Term, base: e.Base, last: e.Last,
		timestamp: noTimestamp, largest: d.tail.largest, bytes: d.tail.bytes, producer: d.tail.producer,
	}
	if e.Kind == KindBatch {
		h.timestamp = int64(binary.BigEndian.Uint64(e.Data[batchMaxTimestampAt:]))
		h.largest = max(h.largest, h.timestamp)
		h.bytes += int64(len(e.Data))
	}
	if producer {
		h.producer = e.Index
	}
	return h
}
