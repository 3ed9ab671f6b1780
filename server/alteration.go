package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// alteration is one resource of AlterConfigs and IncrementalAlterConfigs.
type alteration struct {
	kind    configs.Scope
	name    string
	changes []election.ConfigChange
}

type alterOptions struct {
	// replace makes the given configs all that the resource has.
	replace      bool
	validateOnly bool
}

// alter checks what the broker itself checks of each resource, does what
// concerns its loggers, and sends the rest to the controller
// (ConfigAdminManager.preprocess). One error for each alteration.
func (a *adminAPI) alter(ctx context.Context, alterations []alteration, o alterOptions) []error {
	errs := make([]error, len(alterations))
	seen := map[string]int{}
	for i := range alterations {
		seen[alterations[i].key()]++
	}
	command := election.AlterConfigs{Replace: o.replace, ValidateOnly: o.validateOnly}
	var sent []int // places of the command's resources
	for i := range alterations {
		alt := &alterations[i]
		if seen[alt.key()] > 1 {
			errs[i] = refuse(election.ErrInvalidRequest, "Each resource must appear at most once.")
			continue
		}
		resource, forward, err := a.checkAlteration(alt, o)
		switch {
		case err != nil:
			errs[i] = err
		case forward:
			sent = append(sent, i)
			command.Resources = append(command.Resources, election.ResourceChange{Resource: resource, Changes: alt.changes})
		}
	}
	if len(sent) == 0 {
		return errs
	}
	results, err := result[[]error](ctx, a, &command)
	made := false
	var topics []string
	for n, i := range sent {
		if errs[i] = err; err == nil {
			errs[i] = results[n]
		}
		if errs[i] == nil {
			made = true
			topics = append(topics, command.Resources[n].Resource.Topic)
		}
	}
	if made && !o.validateOnly {
		a.settle(ctx, topics)
	}
	return errs
}

func (alt *alteration) key() string { return fmt.Sprintf("%d:%s", alt.kind, alt.name) }

// checkAlteration checks one resource; forward is set when it is the
// controller's to alter.
func (a *adminAPI) checkAlteration(alt *alteration, o alterOptions) (r election.ConfigResource, forward bool, err error) {
	if err := alt.checkShape(); err != nil {
		return r, false, err
	}
	switch alt.kind {
	case configs.BrokerLogger:
		if o.replace {
			break
		}
		return r, false, a.alterLoggers(alt, o)
	case configs.Broker:
		r.IsBroker, r.Broker = true, -1
		if alt.name != "" {
			if err := a.checkOwnID(alt.name, "Node id must be an integer, but it is: %s",
				"Unexpected broker id, expected %d, but received %s"); err != nil {
				return r, false, err
			}
			r.Broker = a.broker
		}
		return r, true, a.checkBrokerChange(alt, o)
	case configs.Topic:
		if alt.name == "" {
			return r, false, refuse(election.ErrInvalidRequest, "Default topic resources are not allowed.")
		}
		r.Topic = alt.name
		return r, true, alt.checkOps()
	case configs.Group, configs.ClientMetrics:
		r.Named = named(alt.kind, alt.name)
		return r, true, a.checkNamedChange(alt, o)
	}
	return r, false, refuse(election.ErrInvalidRequest, fmt.Sprintf("Unknown resource type %d", alt.kind))
}

// checkShape refuses repeated names and missing values.
func (alt *alteration) checkShape() error {
	seen := map[string]bool{}
	var null []string
	for _, c := range alt.changes {
		if seen[c.Name] {
			return refuse(election.ErrInvalidRequest, "Error due to duplicate config keys")
		}
		seen[c.Name] = true
		if c.Op != election.OpDelete && c.Value == nil {
			null = append(null, c.Name)
		}
	}
	if null != nil {
		return refuse(election.ErrInvalidRequest, "Null value not supported for : "+strings.Join(null, ", "))
	}
	return nil
}

// checkOps refuses operations that the protocol has not. Kafka's controller
// falls over them: UNKNOWN_SERVER_ERROR.
func (alt *alteration) checkOps() error {
	for _, c := range alt.changes {
		if c.Op < election.OpSet || c.Op > election.OpSubtract {
			return fmt.Errorf("%w %d", errUnknownOp, c.Op)
		}
	}
	return nil
}

func (a *adminAPI) alterLoggers(alt *alteration, o alterOptions) error {
	if err := a.checkOwnID(alt.name, "Node id must be an integer, but it is: %s",
		"Unexpected node id. Expected %d, but received %s"); err != nil {
		return err
	}
	return a.loggers.alter(alt.changes, o.validateOnly)
}

// checkBrokerChange checks the dynamic configs that the broker, or all brokers,
// would have.
func (a *adminAPI) checkBrokerChange(alt *alteration, o alterOptions) error {
	one := alt.name != ""
	now := a.image().ClusterConfigs
	if one {
		now = a.image().BrokerConfigs[a.broker]
	}
	next, err := alt.changed(now, o)
	if err != nil {
		return err
	}
	return configs.Rules{}.CheckBrokerChange(next, one)
}

// checkNamedChange checks the configs that a group or a subscription would have.
func (a *adminAPI) checkNamedChange(alt *alteration, o alterOptions) error {
	group := alt.kind == configs.Group
	if err := alt.checkOps(); err != nil {
		return err
	}
	next, err := alt.changed(a.image().NamedConfigs[named(alt.kind, alt.name)], o)
	switch {
	case alt.name == "" && group:
		return refuse(election.ErrInvalidRequest, "Default group resources are not allowed.")
	case alt.name == "":
		return refuse(election.ErrInvalidRequest, "Subscription name can't be empty")
	case err != nil:
		return err
	case group:
		return a.values().ValidateGroup(next)
	}
	return configs.ValidateClientMetrics(next)
}

// changed are the configs that the resource would have.
func (alt *alteration) changed(now map[string]string, o alterOptions) (map[string]string, error) {
	next := map[string]string{}
	if !o.replace {
		maps.Copy(next, now)
	}
	for _, c := range alt.changes {
		if err := applyChange(alt.kind, next, c); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// applyChange makes one change to a resource's configs
// (ConfigAdminManager.prepareIncrementalConfigs).
func applyChange(kind configs.Scope, set map[string]string, c election.ConfigChange) error {
	switch c.Op {
	case election.OpSet:
		set[c.Name] = *c.Value
		return nil
	case election.OpDelete:
		delete(set, c.Name)
		return nil
	case election.OpAppend, election.OpSubtract:
	default:
		return refuse(election.ErrInvalidRequest, fmt.Sprintf("Unknown operations type %d", c.Op))
	}
	known := configs.Lookup(kind, c.Name)
	verb := map[election.ConfigOp]string{election.OpAppend: "append", election.OpSubtract: "subtract"}[c.Op]
	switch {
	case known == nil && kind == configs.Broker:
		return fmt.Errorf("%w: %s of %s", errUnknownOp, verb, c.Name)
	case known == nil || known.Type != configs.List:
		return refuse(election.ErrInvalidConfig,
			"Config value "+verb+" is not allowed for config key: "+c.Name)
	}
	old, ok := set[c.Name]
	if !ok && known.Default != nil {
		old = *known.Default
	}
	set[c.Name] = changedList(old, *c.Value, c.Op == election.OpAppend)
	return nil
}

// changedList is a list with the given parts, or without them.
func changedList(old, parts string, add bool) string {
	list := slices.DeleteFunc(strings.Split(old, ","), func(s string) bool { return s == "" })
	for v := range strings.SplitSeq(parts, ",") {
		switch i := slices.Index(list, v); {
		case add && i < 0:
			list = append(list, v)
		case !add && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}
