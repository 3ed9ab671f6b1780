package election

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// apply changes configs, each resource all or nothing
// (ConfigurationControlManager).
func (c *AlterConfigs) apply(e *edit) (any, error) {
	if c.ValidateOnly {
		e = e.fork()
	}
	asked := map[ConfigResource]int{}
	for _, r := range c.Resources {
		asked[r.Resource]++
	}
	results := make([]error, len(c.Resources))
	for i, r := range c.Resources {
		if asked[r.Resource] > 1 {
			results[i] = fail(ErrInvalidRequest, "Each resource must appear at most once.")
			continue
		}
		results[i] = e.alterConfigs(r, c.Replace)
	}
	return results, nil
}

func (e *edit) alterConfigs(r ResourceChange, replace bool) error {
	old := e.overrides(r.Resource)
	next := map[string]string{}
	if !replace {
		next = cloned(old)
	}
	asked := map[string]string{}
	for _, ch := range r.Changes {
		if _, twice := asked[ch.Name]; twice {
			return fail(ErrInvalidRequest, "Error due to duplicate config keys")
		}
		asked[ch.Name] = ""
		if err := e.alterConfig(next, ch); err != nil {
			return err
		}
	}
	if err := e.validOverrides(r.Resource, old, next, asked); err != nil {
		return err
	}
	if !maps.Equal(old, next) || r.Resource.IsBroker {
		e.setOverrides(r.Resource, next, touches(r.Resource, old, next, asked, minISRConfig))
	}
	return nil
}

// alterConfig makes one change to configs.
func (e *edit) alterConfig(configs map[string]string, ch ConfigChange) error {
	if ch.Op == OpDelete {
		delete(configs, ch.Name)
		return nil
	}
	if ch.Value == nil {
		return fail(ErrInvalidRequest, "Null value not supported for :%s", ch.Name)
	}
	switch ch.Op {
	case OpSet:
		configs[ch.Name] = *ch.Value
		return nil
	case OpAppend, OpSubtract:
		if !e.rules.IsList(ch.Name) {
			op := map[ConfigOp]string{OpAppend: "APPEND", OpSubtract: "SUBTRACT"}[ch.Op]
			return fail(ErrInvalidConfig, "Can't %s to key %s because its type is not LIST.", op, ch.Name)
		}
		configs[ch.Name] = e.alterList(configs, ch)
		return nil
	default:
		return fmt.Errorf("election: unknown config operation %d", ch.Op)
	}
}

// alterList appends to or takes from a list; what is not set starts as the
// default.
func (e *edit) alterList(configs map[string]string, ch ConfigChange) string {
	now, ok := configs[ch.Name]
	if !ok {
		now = e.rules.Default(ch.Name)
	}
	list := slices.DeleteFunc(strings.Split(now, ","), func(s string) bool { return s == "" })
	for v := range strings.SplitSeq(*ch.Value, ",") {
		i := slices.Index(list, v)
		switch {
		case ch.Op == OpAppend && i < 0:
			list = append(list, v)
		case ch.Op == OpSubtract && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}

// validOverrides checks what the overrides of a resource shall become.
func (e *edit) validOverrides(r ConfigResource, old, next, asked map[string]string) error {
	if e.elrOn() && r.IsBroker {
		if err := validMinISR(r, old, next, asked); err != nil {
			return err
		}
	}
	for _, v := range next {
		if len(v) > math.MaxInt16 {
			return fail(ErrInvalidConfig, "The configuration value cannot be added because it exceeds the maximum value size of %d bytes.",
				math.MaxInt16)
		}
	}
	switch {
	case r.IsBroker:
		return e.validBrokerConfigs(r.Broker, next)
	case r.Named.Kind != 0:
		return nil
	}
	if err := ValidateTopicName(r.Topic); err != nil {
		return err
	}
	if err := e.validTopicConfigs(next); err != nil {
		return err
	}
	if e.Topics[r.Topic] == nil {
		return fail(ErrUnknownTopicOrPartition, "The topic '%s' does not exist.", r.Topic)
	}
	return nil
}

// validMinISR keeps min.insync.replicas where the controller must know it: with
// eligible leader replicas it is no broker's own, and the cluster has one
// (isDisallowedBrokerMinIsrTransition, isDisallowedClusterMinIsrTransition).
func validMinISR(r ConfigResource, old, next, asked map[string]string) error {
	_, had := old[minISRConfig]
	_, has := next[minISRConfig]
	_, named := asked[minISRConfig]
	switch {
	case r.Broker >= 0 && (named || had != has):
		return fail(ErrInvalidConfig, "Broker-level %s cannot be altered while ELR is enabled.", minISRConfig)
	case r.Broker < 0 && !has && (named || had):
		return fail(ErrInvalidConfig, "Cluster-level %s cannot be removed while ELR is enabled.", minISRConfig)
	}
	return nil
}

func (e *edit) validBrokerConfigs(broker int32, configs map[string]string) error {
	if err := invalidConfig(e.rules.ValidateBroker(configs)); err != nil {
		return err
	}
	if broker >= 0 && e.Brokers[broker] == nil {
		return fail(ErrBrokerNotRegistered, "No node with id %d found.", broker)
	}
	return nil
}

func (e *edit) validTopicConfigs(configs map[string]string) error {
	return invalidConfig(e.rules.ValidateTopic(configs))
}

// invalidConfig gives an error of the catalogue's a code, unless it has one.
func invalidConfig(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return fail(ErrInvalidConfig, "%s", err)
}
