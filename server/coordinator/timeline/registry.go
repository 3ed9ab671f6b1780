package timeline

import (
	"fmt"
	"math"
	"sort"
)

// Latest is the epoch of the newest state.
const Latest = math.MaxInt64

// Registry is the list of epochs at which its maps and values can be read. The
// zero value has none.
type Registry struct {
	snapshots []snapshot // by epoch, ascending
}

// snapshot is one epoch.
type snapshot struct {
	epoch int64
	// changed is what has changed between this snapshot and the next, each once.
	changed []object
}

// object is a map or a value: for each snapshot it is in, it holds what was there
// before.
type object interface {
	undo() // takes back what changed since the newest snapshot the object is in
	drop() // forgets what was there at the oldest one
}

// NewRegistry returns a registry without snapshots: changes are not remembered.
func NewRegistry() *Registry { return &Registry{} }

// Snapshot lets the state as it is now be read as of the epoch, and returned to.
// Epochs ascend, or it panics; the newest one again changes nothing.
func (r *Registry) Snapshot(epoch int64) {
	if n := len(r.snapshots); n > 0 {
		newest := r.snapshots[n-1].epoch
		if epoch == newest {
			return
		}
		if epoch < newest {
			panic(fmt.Sprintf("timeline: snapshot %d after %d", epoch, newest))
		}
	}
	r.snapshots = append(r.snapshots, snapshot{epoch: epoch})
}

// Revert takes everything back to how it was at the snapshot of the epoch, which
// stays; later ones are gone. It panics when there is no such snapshot.
func (r *Registry) Revert(epoch int64) {
	i := r.floor(epoch)
	if i < 0 || r.snapshots[i].epoch != epoch {
		panic(fmt.Sprintf("timeline: no snapshot %d to return to", epoch))
	}
	for n := len(r.snapshots) - 1; n >= i; n-- {
		for _, o := range r.snapshots[n].changed {
			o.undo()
		}
		r.snapshots[n].changed = nil
	}
	clear(r.snapshots[i+1:])
	r.snapshots = r.snapshots[:i+1]
}

// Release forgets the snapshots before the epoch.
func (r *Registry) Release(upTo int64) {
	n := 0
	for ; n < len(r.snapshots) && r.snapshots[n].epoch < upTo; n++ {
		for _, o := range r.snapshots[n].changed {
			o.drop()
		}
	}
	if n == 0 {
		return
	}
	left := copy(r.snapshots, r.snapshots[n:])
	clear(r.snapshots[left:])
	r.snapshots = r.snapshots[:left]
}

// Has tells whether there is a snapshot of the epoch.
func (r *Registry) Has(epoch int64) bool {
	i := r.floor(epoch)
	return i >= 0 && r.snapshots[i].epoch == epoch
}

// Floor is the newest snapshot at or before the epoch, if any.
func (r *Registry) Floor(epoch int64) (at int64, ok bool) {
	i := r.floor(epoch)
	if i < 0 {
		return 0, false
	}
	return r.snapshots[i].epoch, true
}

// floor is the index of the newest snapshot at or before the epoch, or -1.
func (r *Registry) floor(epoch int64) int {
	return sort.Search(len(r.snapshots), func(i int) bool { return r.snapshots[i].epoch > epoch }) - 1
}

// since is the epoch from which on changes have to be undone to see the state as
// of the epoch given: that of the newest snapshot at or before it. Without one it
// is the oldest state there is.
func (r *Registry) since(epoch int64) int64 {
	if at, ok := r.Floor(epoch); ok {
		return at
	}
	return math.MinInt64
}

// changes notes that o is about to change. It returns the epoch of the snapshot
// that has to remember how it was, and whether there is one.
func (r *Registry) changes() (epoch int64, ok bool) {
	if n := len(r.snapshots); n > 0 {
		return r.snapshots[n-1].epoch, true
	}
	return 0, false
}

// joins has o be told of the fate of the newest snapshot.
func (r *Registry) joins(o object) {
	s := &r.snapshots[len(r.snapshots)-1]
	s.changed = append(s.changed, o)
}
