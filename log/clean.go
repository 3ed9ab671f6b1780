package log

import (
	"cmp"
	"slices"
)

// cleanedTxns follows transactions through a pass of compaction
// (CleanedTransactionMetadata): which batches belong to aborted ones, and
// whether a marker still has records in front of it.
type cleanedTxns struct {
	coming    []AbortedTxn // by first offset
	aborted   map[int64]*abortedSeen
	committed map[int64]bool
}

type abortedSeen struct {
	last    int64 // offset of the marker
	batches bool
}

func newCleanedTxns(aborted []AbortedTxn) *cleanedTxns {
	coming := slices.Clone(aborted)
	slices.SortFunc(coming, func(a, b AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	return &cleanedTxns{coming: coming, aborted: map[int64]*abortedSeen{}, committed: map[int64]bool{}}
}

func (c *cleanedTxns) upTo(offset int64) {
	for len(c.coming) > 0 && c.coming[0].FirstOffset <= offset {
		next := c.coming[0]
		if a := c.aborted[next.ProducerID]; a == nil || a.last < next.FirstOffset {
			c.aborted[next.ProducerID] = &abortedSeen{last: next.LastOffset}
		}
		c.coming = c.coming[1:]
	}
}

// data tells whether a batch of records was aborted.
func (c *cleanedTxns) data(b *Batch) bool {
	c.upTo(b.BaseOffset + int64(b.LastOffset))
	if !b.Transactional() {
		return false
	}
	if a := c.aborted[b.ProducerID]; a != nil && b.BaseOffset < a.last {
		a.batches = true
		return true
	}
	c.committed[b.ProducerID] = true
	return false
}

// control tells whether nothing is left of the transaction that the marker ends.
func (c *cleanedTxns) control(b *Batch) (discardable bool, err error) {
	c.upTo(b.BaseOffset + int64(b.LastOffset))
	if b.NumRecords == 0 {
		return true, nil
	}
	pb, err := b.Producer()
	if err != nil || pb == nil {
		return false, err
	}
	if pb.Commit {
		left := c.committed[b.ProducerID]
		delete(c.committed, b.ProducerID)
		return !left, nil
	}
	a := c.aborted[b.ProducerID]
	delete(c.aborted, b.ProducerID)
	return a == nil || a.last != b.BaseOffset || !a.batches, nil
}

// clean is the entry as the pass leaves it; nil when it stays as it is.
func (k *compaction) clean(s *stored, txns *cleanedTxns) (*stored, error) {
	b := readBatch(s.data)
	discardable, discard, err := k.judge(&b, txns)
	if err != nil {
		return nil, err
	}
	var kept []Record
	if !discard {
		if kept, err = k.keptOf(&b); err != nil {
			return nil, err
		}
	}
	if len(kept) == 0 {
		return k.emptied(s, &b), nil
	}
	horizon, hasHorizon := b.deleteHorizon()
	expiring := discardable || slices.ContainsFunc(kept, func(r Record) bool { return r.Value == nil })
	if len(kept) == int(b.NumRecords) && (hasHorizon || !expiring) {
		return nil, nil
	}
	if !hasHorizon && expiring {
		horizon, hasHorizon = k.c.Now.UnixMilli()+k.c.DeleteRetention, true
	}
	raw, err := rewriteBatch(&b, kept, horizon, hasHorizon)
	if err != nil {
		return nil, err
	}
	return s.rewritten(KindBatch, raw), nil
}

// judge tells whether all of the batch goes, and whether it is a marker that
// may go once its delete horizon has passed (Cleaner.cleanInto,
// checkBatchRetention).
func (k *compaction) judge(b *Batch, txns *cleanedTxns) (discardable, discard bool, err error) {
	if !b.Control() {
		return false, txns.data(b), nil
	}
	discardable, err = txns.control(b)
	if err != nil || !discardable {
		return false, false, err
	}
	// A reader that knew of the transaction would take what follows for aborted
	// too, once the marker is gone.
	k.forget = append(k.forget, b.BaseOffset)
	horizon, hasHorizon := b.deleteHorizon()
	return true, hasHorizon && horizon <= k.c.Now.UnixMilli(), nil
}

// keptOf are the records of the batch that stay.
func (k *compaction) keptOf(b *Batch) ([]Record, error) {
	records, err := Records(*b, 0)
	if err != nil || b.Control() {
		return records, err
	}
	horizon, hasHorizon := b.deleteHorizon()
	tombstones := !hasHorizon || k.c.Now.UnixMilli() < horizon
	return slices.DeleteFunc(records, func(r Record) bool { return !k.keeps(&r, tombstones) }), nil
}

// keeps tells whether a record is the newest of its key, and no tombstone whose
// time has come (Cleaner.shouldRetainRecord).
func (k *compaction) keeps(r *Record, tombstones bool) bool {
	if r.Offset >= k.end {
		return true
	}
	if r.Key == nil {
		return false
	}
	if newest, ok := k.offsets[string(r.Key)]; ok && r.Offset < newest {
		return false
	}
	return r.Value != nil || tombstones
}

// emptied is what stays of a batch without records: a stub, or, where the batch
// carries the state of its producer or is the last one cleaned, its header.
func (k *compaction) emptied(s *stored, b *Batch) *stored {
	if !k.isLastOfProducer(b) && s.end() != k.uncleaned {
		return s.rewritten(KindStub, nil)
	}
	if b.NumRecords == 0 {
		return nil
	}
	h := *b
	h.Attributes &= attrTransactional | attrControl | attrLogAppendTime
	h.BaseTimestamp, h.NumRecords = noTimestamp, 0
	raw := make([]byte, batchRecordsAt)
	writeHeader(raw, &h)
	return s.rewritten(KindBatch, raw)
}

// isLastOfProducer tells whether the batch is the one that its producer's state
// comes from.
func (k *compaction) isLastOfProducer(b *Batch) bool {
	p, ok := k.lastOf[b.ProducerID]
	if b.ProducerID < 0 || !ok {
		return false
	}
	if p.sent > 0 {
		last := p.batches[p.sent-1]
		return b.BaseOffset+int64(b.LastOffset) == last.base+int64(last.delta)
	}
	return b.Control() && b.ProducerEpoch == p.epoch
}

// rewriteBatch writes the batch with some of its records, in its codec. The
// delete horizon takes the place of the base timestamp (KIP-534).
func rewriteBatch(b *Batch, kept []Record, horizon int64, hasHorizon bool) ([]byte, error) {
	h := *b
	h.Attributes &= attrCodec | attrTransactional | attrControl | attrLogAppendTime
	h.BaseTimestamp = kept[0].Timestamp
	if hasHorizon {
		h.Attributes |= attrDeleteHorizon
		h.BaseTimestamp = horizon
	}
	h.NumRecords = int32(len(kept))
	largest := int64(noTimestamp)
	var payload []byte
	for i := range kept {
		r := &kept[i]
		largest = max(largest, r.Timestamp)
		f := recordFields{key: r.Key, value: r.Value, numHeaders: int32(len(r.Headers)), headers: encodeHeaders(r.Headers)}
		payload = appendRecordFields(payload, &f, r.Timestamp-h.BaseTimestamp, int32(r.Offset-b.BaseOffset))
	}
	if !b.LogAppendTime() {
		h.MaxTimestamp = largest
	}
	return assemble(h, payload)
}

// rewritten is the entry with other contents.
func (s *stored) rewritten(kind Kind, data []byte) *stored {
	out := &stored{header: s.header, index: s.index, data: data}
	out.kind = kind
	out.timestamp = noTimestamp
	if kind == KindBatch {
		out.timestamp = readBatch(data).MaxTimestamp
	}
	return out
}
