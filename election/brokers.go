package election

// registerBroker registers an incarnation of a broker
// (ClusterControlManager.registerBroker). Result: the broker epoch, an int64.
type registerBroker struct {
	ID            int32
	Incarnation   [16]byte
	PreviousEpoch int64
	Host          string
	Port          int32
	Rack          string
}

// apply strips an earlier incarnation of the broker from every ISR, and when it
// may have lost records (ELR on, and no proof of a clean shutdown) from every
// ELR too; KAFKA-18106. The new one starts fenced. Its epoch is the index of
// this entry. The same incarnation again keeps epoch and state.
func (c *registerBroker) apply(e *edit) (any, error) {
	next := &Broker{
		ID: c.ID, Epoch: int64(e.Index), Incarnation: c.Incarnation,
		Host: c.Host, Port: c.Port, Rack: c.Rack, Fenced: true,
	}
	old := e.Brokers[c.ID]
	if old != nil && old.Incarnation == c.Incarnation {
		next.Epoch, next.Fenced, next.ShuttingDown = old.Epoch, old.Fenced, old.ShuttingDown
	} else {
		clean := old != nil && old.Epoch == c.PreviousEpoch
		e.brokerReturned(c.ID, clean)
		e.clearOffline(c.ID)
	}
	e.setBroker(next)
	return next.Epoch, nil
}

// brokerReturned is RCM.handleBrokerShutdown.
func (e *edit) brokerReturned(id int32, clean bool) {
	if e.elrOn() && !clean {
		gone := brokerChange{remove: noLeader, add: noLeader, unclean: id}
		e.updateLeaders(gone, inISR(id))
		e.updateLeaders(gone, inELR(id))
		return
	}
	e.updateLeaders(brokerChange{remove: id, add: noLeader, unclean: noLeader}, inISR(id))
}

// fenceBroker fences a broker: its session has ended, or it was granted its
// shutdown (RCM.handleBrokerFenced). Result: nil.
type fenceBroker struct {
	ID    int32
	Epoch int64
}

func (c *fenceBroker) apply(e *edit) (any, error) {
	b, err := e.brokerAt(c.ID, c.Epoch)
	if err != nil || b.Fenced {
		return nil, err
	}
	e.updateLeaders(brokerChange{remove: c.ID, add: noLeader, unclean: noLeader}, inISR(c.ID))
	next := *b
	next.Fenced, next.ShuttingDown = true, false
	e.setBroker(&next)
	return nil, nil
}

// unfenceBroker lets a broker take part that has seen the metadata up to its own
// registration (RCM.handleBrokerUnfenced). Result: whether it is unfenced.
type unfenceBroker struct {
	ID      int32
	Epoch   int64
	Applied uint64
}

// apply elects for partitions without a leader only: the broker gets no
// leadership back, and must catch up to come into an ISR.
func (c *unfenceBroker) apply(e *edit) (any, error) {
	b, err := e.brokerAt(c.ID, c.Epoch)
	if err != nil {
		return false, err
	}
	if !b.Fenced || c.Applied < uint64(b.Epoch) {
		return !b.Fenced, nil
	}
	next := *b
	next.Fenced = false
	e.setBroker(&next)
	e.updateLeaders(brokerChange{remove: noLeader, add: c.ID, unclean: noLeader}, leaderless)
	return true, nil
}

// beginShutdown moves a broker's leaderships away and takes it out of the ISRs
// (RCM.handleBrokerInControlledShutdown). Result: nil.
type beginShutdown struct {
	ID    int32
	Epoch int64
}

func (c *beginShutdown) apply(e *edit) (any, error) {
	b, err := e.brokerAt(c.ID, c.Epoch)
	if err != nil || b.Fenced {
		return nil, err
	}
	if !b.ShuttingDown {
		next := *b
		next.ShuttingDown = true
		e.setBroker(&next)
	}
	e.updateLeaders(brokerChange{remove: c.ID, add: noLeader, unclean: noLeader}, inISR(c.ID))
	return nil, nil
}

// brokerAt finds a broker and checks its epoch (checkBrokerEpoch).
func (m *Image) brokerAt(id int32, epoch int64) (*Broker, error) {
	b := m.Brokers[id]
	if b == nil {
		return nil, fail(ErrStaleBrokerEpoch, "No broker registration found for broker id %d", id)
	}
	if b.Epoch != epoch {
		return nil, fail(ErrStaleBrokerEpoch, "Expected broker epoch %d, but got broker epoch %d", b.Epoch, epoch)
	}
	return b, nil
}

// apply removes a registration (RCM.unregisterBroker).
func (c *UnregisterBroker) apply(e *edit) (any, error) {
	if e.Brokers[c.Broker] == nil {
		return nil, fail(ErrBrokerNotRegistered, "Broker ID %d is not currently registered", c.Broker)
	}
	gone := brokerChange{remove: c.Broker, add: noLeader, unclean: noLeader}
	e.updateLeaders(gone, inISR(c.Broker))
	e.updateLeaders(gone, inELR(c.Broker))
	e.clearOffline(c.Broker)
	e.removeBroker(c.Broker)
	return nil, nil
}

// apply takes the broker out of the ISRs of partitions it can serve no more,
// as the failure of a log directory does (RCM.handleDirectoriesOffline). It is
// eligible again when it has registered anew, or has recovered.
func (c *ReportOffline) apply(e *edit) (any, error) {
	if _, err := e.brokerAt(c.Broker, c.BrokerEpoch); err != nil {
		return nil, err
	}
	off := e.Offline[c.Broker]
	if c.Recovered {
		off.All = false
		e.setOffline(c.Broker, off)
		return nil, nil
	}
	if c.Partitions == nil {
		off.All = true
	}
	for _, id := range c.Partitions {
		if !off.holds(id) {
			off.Partitions = append(off.Partitions[:len(off.Partitions):len(off.Partitions)], id)
		}
	}
	e.setOffline(c.Broker, off)
	acceptable := func(broker int32) bool { return e.active(broker) }
	e.eachPartition(inISR(c.Broker), func(t *Topic, i int, p *Partition) {
		if e.rulesFor(t, i, func(int32) bool { return true }).acceptable(c.Broker) {
			return // This one it can still serve.
		}
		ch := unchanged(p, e.mode(t))
		ch.isr = without(p.ISR, c.Broker)
		e.change(t, i, ch, acceptable)
	})
	return nil, nil
}

func (e *edit) setOffline(broker int32, off offline) {
	e.Offline = cloned(e.Offline)
	e.Offline[broker] = off
	e.changed = true
}

func (e *edit) clearOffline(broker int32) {
	if _, ok := e.Offline[broker]; ok {
		e.Offline = cloned(e.Offline)
		delete(e.Offline, broker)
		e.changed = true
	}
}
