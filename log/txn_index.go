package log

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
)

// AbortedTxn is an aborted transaction whose records a read_committed consumer
// must drop. LastOffset is that of its marker.
type AbortedTxn struct {
	ProducerID, FirstOffset, LastOffset int64
}

// abortedTxn is an entry of the transaction index.
type abortedTxn struct {
	txnSpan
	// stable is the last stable offset once the marker is there: no later
	// entry began before it, which ends a search (TransactionIndex).
	stable int64
	// stored tells whether the file has it; what was aborted after the newest
	// snapshot is found again by replaying.
	stored bool
}

func (a *abortedTxn) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(a.producerID))
	b = binary.BigEndian.AppendUint64(b, uint64(a.first))
	return binary.BigEndian.AppendUint64(b, uint64(a.stable))
}

func parseAborted(last int64, b []byte) (abortedTxn, error) {
	if len(b) != 24 {
		return abortedTxn{}, fmt.Errorf("%w: aborted transaction of %d bytes", ErrCorruptFile, len(b))
	}
	return abortedTxn{
		txnSpan: txnSpan{
			producerID: int64(binary.BigEndian.Uint64(b)), first: int64(binary.BigEndian.Uint64(b[8:])), last: last,
		},
		stable: int64(binary.BigEndian.Uint64(b[16:])),
		stored: true,
	}, nil
}

// addStored adds a batch of the log, and returns the transaction it aborts.
func (s *Producers) addStored(b *ProducerBatch) (abortedTxn, bool) {
	done, ok := s.add(b)
	if !ok || b.Commit {
		return abortedTxn{}, false
	}
	stable := done.last + 1
	if len(s.ongoing) > 0 {
		stable = min(stable, s.ongoing[0].first)
	}
	return abortedTxn{txnSpan: done, stable: stable}, true
}

// addProducerBatch takes a stored batch over into the producer state. Called
// with the lock.
func (p *Partition) addProducerBatch(b *ProducerBatch) {
	if a, ok := p.producers.addStored(b); ok {
		p.aborted = append(p.aborted, a)
	}
	if len(p.producers.completed) > 0 {
		p.producers.passed(p.clampedHW())
	}
}

// AbortedTxns lists the aborted transactions that overlap [from, to): those with
// a marker at or after from, and a first record before to
// (TransactionIndex.collectAbortedTxns).
func (p *Partition) AbortedTxns(from, to int64) []AbortedTxn {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []AbortedTxn
	i := sort.Search(len(p.aborted), func(i int) bool { return p.aborted[i].last >= from })
	for _, a := range p.aborted[i:] {
		if a.first < to {
			list = append(list, AbortedTxn{ProducerID: a.producerID, FirstOffset: a.first, LastOffset: a.last})
		}
		if a.stable >= to {
			break
		}
	}
	return list
}

// FirstUnstableOffset is the first offset of the oldest transaction that is
// ongoing or whose marker is not below the high watermark; -1 when none.
func (p *Partition) FirstUnstableOffset() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.firstUnstable(p.clampedHW())
}

// CheckProducer checks b against the partition's stored state; see
// [Producers.Check].
func (p *Partition) CheckProducer(b ProducerBatch) (dup *ProducerBatch, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.Check(b)
}

// InTransaction is [Producers.InTransaction] of the stored state.
func (p *Partition) InTransaction(producerID int64, epoch int16) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.InTransaction(producerID, epoch)
}

// MarkerWritten is [Producers.MarkerWritten] of the stored state.
func (p *Partition) MarkerWritten(producerID int64, epoch int16) (bool, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.MarkerWritten(producerID, epoch)
}

// CloneProducer copies the stored state of the one producer, for checks of
// pending batches on top of it.
func (p *Partition) CloneProducer(id int64) *Producers {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.one(id)
}

// Producers lists the producers of the stored state, ordered by id.
func (p *Partition) Producers() []Producer {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.producers.List()
}

// ExpireProducers forgets idle producers; see [Producers.Expire]. What expired
// before a restart may be there again after it, until this is called.
func (p *Partition) ExpireProducers(nowMs, ms int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.producers.Expire(nowMs, ms)
}

// cutAborted forgets what was aborted at or after the offset; the list is not
// changed in place.
func cutAborted(list []abortedTxn, end int64) []abortedTxn {
	n := sort.Search(len(list), func(i int) bool { return list[i].last >= end })
	return slices.Clip(list[:n])
}

// forgetTxns takes aborted transactions out of the index.
func (t *txn) forgetTxns(d *draft, gone func(*abortedTxn) bool) error {
	p := d.p
	p.mu.RLock()
	var keys [][]byte
	for i := range p.aborted {
		if a := &p.aborted[i]; a.stored && gone(a) {
			keys = append(keys, stateKey(p.id, stateAborted, entryKey(uint64(a.last))))
		}
	}
	p.mu.RUnlock()
	for _, k := range keys {
		if err := t.deleteState(k); err != nil {
			return err
		}
	}
	d.publish = append(d.publish, func() {
		p.aborted = slices.DeleteFunc(slices.Clone(p.aborted), func(a abortedTxn) bool { return gone(&a) })
	})
	return nil
}
