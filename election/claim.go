package election

import "maps"

// claim makes a controller the active one: it is the first command of each
// reign, so that all of the reigns before has been applied. The first claim of
// all formats the cluster. Result: nil.
type claim struct {
	Controller int32
	ClusterID  string
	Features   map[string]int16
	Static     map[string]string
}

func (c *claim) apply(e *edit) (any, error) {
	e.changed = true
	e.Static = c.Static
	if e.FeaturesEpoch != 0 {
		return nil, nil
	}
	e.ClusterID = c.ClusterID
	e.Features = map[string]int16{}
	for name, level := range c.Features {
		if level != 0 {
			e.Features[name] = level
		}
	}
	e.FeaturesEpoch = int64(e.Index)
	if e.elrOn() {
		e.makeSafeForELR()
	}
	return nil, nil
}

// makeSafeForELR puts min.insync.replicas where it is the same for every
// broker: with eligible leader replicas the controller must know it
// (ConfigurationControlManager.maybeGenerateElrSafetyRecords).
func (e *edit) makeSafeForELR() {
	if _, ok := e.ClusterConfigs[minISRConfig]; !ok {
		configs := cloned(e.ClusterConfigs)
		configs[minISRConfig] = e.static(minISRConfig)
		e.setBrokerConfigs(-1, configs)
	}
	for id, configs := range e.BrokerConfigs {
		if _, ok := configs[minISRConfig]; ok {
			rest := maps.Clone(configs)
			delete(rest, minISRConfig)
			e.setBrokerConfigs(id, rest)
		}
	}
}

// electPeriodically is what the controller does now and then: give leaderships
// back to preferred leaders (RCM.maybeBalancePartitionLeaders), or elect
// uncleanly where that is allowed (RCM.maybeElectUncleanLeaders). Result: nil.
type electPeriodically struct{ Preferred bool }

// maxElections bounds one round of either, as Kafka does.
const maxElections = 1000

func (c *electPeriodically) apply(e *edit) (any, error) {
	left := maxElections
	match, mode := leaderless, electUnclean
	if c.Preferred {
		match, mode = imbalanced, electPreferred
	}
	e.eachPartition(match, func(t *Topic, i int, p *Partition) {
		if left == 0 || (!c.Preferred && !e.uncleanAllowed(t)) {
			return
		}
		if e.change(t, i, unchanged(p, mode), nil) {
			left--
		}
	})
	return nil, nil
}

// imbalanced tells whether a partition is led by another than its preferred
// leader.
func imbalanced(p *Partition) bool { return p.Leader != p.Replicas[0] }
