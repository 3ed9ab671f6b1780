package replication

import (
	"fmt"
	"sync"

	"github.com/minikafka/minikafka/log"
)

// Witness watches the replicas of a whole cluster, and reports what must never
// be: two leaders of one epoch, a high watermark above the log end of a member
// of the ISR, or one that moves while the ISR is below the minimum. It is an
// instrument of tests: one value is given to all brokers of a cluster.
type Witness struct {
	report func(string)

	mu      sync.Mutex
	leaders map[epochOf]int32
	ends    map[replicaOf]int64
}

type epochOf struct {
	id    log.PartitionID
	epoch int32
}

type replicaOf struct {
	id     log.PartitionID
	broker int32
}

// NewWitness makes a witness; report is called with each violation, on whatever
// goroutine it was seen, and must not call back.
func NewWitness(report func(violation string)) *Witness {
	return &Witness{report: report, leaders: map[epochOf]int32{}, ends: map[replicaOf]int64{}}
}

// leads notes who leads an epoch.
func (w *Witness) leads(r *Replica, epoch int32) {
	if w == nil {
		return
	}
	broker := r.manager.Broker
	w.mu.Lock()
	defer w.mu.Unlock()
	key := epochOf{r.id, epoch}
	if other, taken := w.leaders[key]; taken {
		w.report(fmt.Sprintf("%s: brokers %d and %d both led epoch %d", r.name(), other, broker, epoch))
	}
	w.leaders[key] = broker
}

// stored notes a replica's log end; it is called before anybody is told.
func (w *Witness) stored(r *Replica) {
	if w == nil {
		return
	}
	end := r.log.LogEndOffset()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[replicaOf{r.id, r.manager.Broker}] = end
}

// advancesLocked checks a new high watermark of a leader, whose mu is held.
func (w *Witness) advancesLocked(r *Replica, to int64) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, m := len(r.isr.committed), r.minISRLocked(); n < m {
		w.report(fmt.Sprintf("%s: high watermark moves to %d with %d in sync of %d required", r.name(), to, n, m))
	}
	for _, b := range r.isr.committed {
		end, known := w.ends[replicaOf{r.id, b}]
		if b == r.manager.Broker {
			end = r.log.LogEndOffset() // noted only when a slow sync is over
		}
		if known && end < to {
			w.report(fmt.Sprintf("%s: high watermark of broker %d in epoch %d moves to %d, but broker %d of the ISR ends at %d",
				r.name(), r.manager.Broker, r.epoch, to, b, end))
		}
	}
}
