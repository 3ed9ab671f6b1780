package log

import (
	"slices"
	"sort"
)

// noEpoch and noOffset are what an unknown leader epoch is answered with.
const (
	noEpoch  = -1
	noOffset = -1
)

// EpochStart is a leader epoch and the first offset written in it.
type EpochStart struct {
	Epoch  int32
	Offset int64
}

// The list of leader epochs has one pair for every term that has an entry in
// the log, and those of the newest entries that were trimmed. Kafka's
// LeaderEpochFileCache drops an epoch without records when the next one starts
// at the same offset; here that happens when the list is read (see
// [Partition.EpochEnd]), since a truncation may bring the older one back.

// startEpoch notes the leader epoch that the entry opens, if it does.
func (t *txn) startEpoch(d *draft, e *Entry) error {
	epoch := int32(e.Term - 1)
	if n := len(d.epochs); n > 0 && d.epochs[n-1].Epoch >= epoch {
		return nil
	}
	if e.Term == 0 {
		return nil
	}
	return t.setEpochs(d, append(slices.Clip(d.epochs), EpochStart{Epoch: epoch, Offset: e.Base}))
}

// setEpochs stores the list, which must not be changed after that.
func (t *txn) setEpochs(d *draft, epochs []EpochStart) error {
	if slices.Equal(epochs, d.epochs) {
		return nil
	}
	d.epochs = epochs
	return t.putState(stateKey(d.p.id, stateEpochs, nil), encodeEpochs(epochs))
}

// epochsUpTo are the epochs of the log when its last entry is of the term.
func epochsUpTo(epochs []EpochStart, term uint64) []EpochStart {
	n := len(epochs)
	for n > 0 && uint64(epochs[n-1].Epoch)+1 > term {
		n--
	}
	return slices.Clip(epochs[:n])
}

// epochsFrom are the epochs of the log when it starts at the offset: the newest
// at or below it is kept, and moved up to it (truncateFromStart).
func epochsFrom(epochs []EpochStart, logStart int64) []EpochStart {
	n := sort.Search(len(epochs), func(i int) bool { return epochs[i].Offset > logStart })
	if n == 0 {
		return epochs
	}
	kept := slices.Clone(epochs[n-1:])
	kept[0].Offset = logStart
	return kept
}

// EpochEnd answers OffsetForLeaderEpoch (LeaderEpochFileCache.endOffsetFor):
// the largest known epoch at or below the one asked for and the start offset of
// the one after it (the log end for the newest). Unknown: -1, -1. Below the
// earliest: the asked epoch and the earliest start offset.
func (p *Partition) EpochEnd(epoch int32) (int32, int64) {
	p.mu.RLock()
	epochs, end := p.epochs, p.tail.end
	p.mu.RUnlock()
	n := len(epochs)
	switch {
	case epoch < 0 || n == 0 || epoch > epochs[n-1].Epoch:
		return noEpoch, noOffset
	case epoch == epochs[n-1].Epoch:
		return epoch, end
	}
	higher := sort.Search(n, func(i int) bool { return epochs[i].Epoch > epoch })
	// An epoch that starts where the next one does has no records, and is not
	// known.
	for higher+1 < n && epochs[higher+1].Offset == epochs[higher].Offset {
		higher++
	}
	floor := higher - 1
	for floor >= 0 && epochs[floor].Offset == epochs[higher].Offset {
		floor--
	}
	if floor < 0 {
		return epoch, epochs[higher].Offset
	}
	return epochs[floor].Epoch, epochs[higher].Offset
}

// EpochAt is the leader epoch of the record at offset (at the log end: the
// newest), or -1.
func (p *Partition) EpochAt(offset int64) int32 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := sort.Search(len(p.epochs), func(i int) bool { return p.epochs[i].Offset > offset })
	if n == 0 {
		return noEpoch
	}
	return p.epochs[n-1].Epoch
}

// LatestEpoch is the newest leader epoch in the log and its first offset, or
// -1, -1.
func (p *Partition) LatestEpoch() (epoch int32, start int64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if n := len(p.epochs); n > 0 {
		return p.epochs[n-1].Epoch, p.epochs[n-1].Offset
	}
	return noEpoch, noOffset
}
