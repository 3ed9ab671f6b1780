package minikafka

import (
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server"
	"github.com/minikafka/minikafka/server/configs"
)

// maxDefaultReplicas is how many replicas a topic gets when nothing says.
const maxDefaultReplicas = 3

// layout is what the options mean: every node with all it is started with.
type layout struct {
	brokers          []brokerPlan
	controllers      []int32
	controllerStatic map[string]string
	controllerTiming election.Timing
	features         map[string]int16
	topics           []TopicSpec
	wait             time.Duration
}

type brokerPlan struct {
	id                int32
	rack              string
	listen, advertise string
	static            map[string]string
	timing            server.Timing
}

// plan checks the options and works out the nodes. Errors wrap ErrOption.
func plan(o Options) (*layout, error) {
	l := &layout{wait: o.Timings.Wait}
	if o.WaitTimeout != 0 {
		l.wait = o.WaitTimeout
	}
	switch {
	case l.wait <= 0:
		return nil, badOption("WaitTimeout of %v: it takes more than 0", l.wait)
	case o.Timings.RetryISR <= 0:
		return nil, badOption("Timings.RetryISR of %v: it takes more than 0", o.Timings.RetryISR)
	case o.Timings.Forward <= 0:
		return nil, badOption("Timings.Forward of %v: it takes more than 0", o.Timings.Forward)
	}
	if err := l.planBrokers(o); err != nil {
		return nil, err
	}
	if err := l.planAddresses(o); err != nil {
		return nil, err
	}
	if err := l.planConfigs(o); err != nil {
		return nil, err
	}
	if err := l.planFeatures(o.Features); err != nil {
		return nil, err
	}
	return l, l.planTopics(o.Topics)
}

func badOption(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrOption, fmt.Sprintf(format, args...))
}

func (l *layout) planBrokers(o Options) error {
	ids := o.BrokerIDs
	if len(ids) == 0 {
		if o.Brokers < 1 {
			return badOption("%d brokers: there must be at least one", o.Brokers)
		}
		for i := range o.Brokers {
			ids = append(ids, int32(i))
		}
	} else if o.Brokers > 1 && o.Brokers != len(ids) {
		return badOption("%d brokers, but %d broker ids", o.Brokers, len(ids))
	}
	for i, id := range ids {
		if id < 0 {
			return badOption("broker id %d: ids start at 0", id)
		}
		if slices.Contains(ids[:i], id) {
			return badOption("broker id %d is there twice", id)
		}
		l.brokers = append(l.brokers, brokerPlan{id: id})
	}
	if len(o.Racks) != 0 && len(o.Racks) != len(ids) {
		return badOption("%d racks for %d brokers", len(o.Racks), len(ids))
	}
	for i, rack := range o.Racks {
		l.brokers[i].rack = rack
	}
	if o.Controllers < 1 {
		return badOption("%d controllers: there must be at least one", o.Controllers)
	}
	for i := range o.Controllers {
		l.controllers = append(l.controllers, int32(i))
	}
	return nil
}

func (l *layout) planAddresses(o Options) error {
	switch n := len(o.Listen); {
	case n > 1 && n != len(l.brokers):
		return badOption("%d addresses to listen on for %d brokers: give one, or one for each", n, len(l.brokers))
	case n > 1:
		for i, address := range o.Listen {
			if _, _, err := hostPort(address); err != nil {
				return err
			}
			l.brokers[i].listen = address
		}
	default:
		first := "127.0.0.1:0"
		if n == 1 {
			first = o.Listen[0]
		}
		if err := l.listenFrom(first); err != nil {
			return err
		}
	}
	return l.planAdvertised(o.Advertise)
}

func (l *layout) planAdvertised(addresses []string) error {
	if n := len(addresses); n != 0 && n != len(l.brokers) {
		return badOption("%d advertised addresses for %d brokers: give one for each", n, len(l.brokers))
	}
	for i := range l.brokers {
		b := &l.brokers[i]
		if len(addresses) != 0 {
			b.advertise = addresses[i]
			if b.advertise == "" {
				return badOption("advertised address %q is not host:port", b.advertise)
			}
			if slices.Contains(addresses[:i], b.advertise) {
				return badOption("advertised address %q is there twice", b.advertise)
			}
		}
		if err := b.checkAdvertised(); err != nil {
			return err
		}
	}
	return nil
}

// checkAdvertised finds out what to tell clients where what is listened on is
// not an address that can be dialed.
func (b *brokerPlan) checkAdvertised() error {
	if b.advertise != "" {
		host, port, err := hostPort(b.advertise)
		if err == nil && (host == "" || port == 0) {
			err = badOption("advertised address %q: clients need a host and a port", b.advertise)
		}
		return err
	}
	host, port, err := hostPort(b.listen)
	if err != nil {
		return err
	}
	if host != "" && !net.ParseIP(host).IsUnspecified() {
		return nil
	}
	if port == 0 {
		return badOption("address %q: give the addresses to advertise, too", b.listen)
	}
	b.advertise = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return nil
}

// listenFrom gives the brokers the ports from the first one on.
func (l *layout) listenFrom(first string) error {
	host, port, err := hostPort(first)
	if err != nil {
		return err
	}
	for i := range l.brokers {
		p := port
		if port != 0 {
			p += i
		}
		if p > 65535 {
			return badOption("address %q: %d brokers need as many ports from there", first, len(l.brokers))
		}
		l.brokers[i].listen = net.JoinHostPort(host, strconv.Itoa(p))
	}
	return nil
}

func hostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, badOption("address %q is not host:port", address)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, badOption("address %q: the port is a number up to 65535", address)
	}
	return host, port, nil
}

// reserved are the configs that options decide, with the option.
func reserved() map[string]string {
	return map[string]string{
		"node.id":                             "BrokerIDs",
		"broker.id":                           "BrokerIDs",
		"broker.rack":                         "Racks",
		"listeners":                           "Listen",
		"advertised.listeners":                "Advertise",
		"log.dir":                             "DataDir",
		"log.dirs":                            "DataDir",
		"metadata.log.dir":                    "DataDir",
		"process.roles":                       "Controllers",
		"controller.quorum.voters":            "Controllers",
		"controller.quorum.bootstrap.servers": "Controllers",
		"controller.listener.names":           "Controllers",
	}
}

func (l *layout) planConfigs(o Options) error {
	taken := reserved()
	layers := []map[string]string{o.Configs, o.ControllerConfigs}
	for id, layer := range o.BrokerConfigs {
		if !slices.ContainsFunc(l.brokers, func(b brokerPlan) bool { return b.id == id }) {
			return badOption("a config for broker %d, which the cluster does not have", id)
		}
		layers = append(layers, layer)
	}
	for _, layer := range layers {
		for _, name := range slices.Sorted(maps.Keys(layer)) {
			if option := taken[name]; option != "" {
				return badOption("config %s is decided by the option %s", name, option)
			}
			if configs.Lookup(configs.Broker, name) == nil {
				return unknownConfig(name)
			}
		}
		if err := configs.CheckStatic(layer); err != nil {
			return badOption("%v", err)
		}
	}
	common := merged(l.sized(), o.Timings.Configs, o.Configs)
	for i := range l.brokers {
		b := &l.brokers[i]
		b.static = merged(common, o.BrokerConfigs[b.id])
		if err := configs.CheckTogether(b.static); err != nil {
			return badOption("broker %d: %v", b.id, err)
		}
		var err error
		if b.timing, err = o.Timings.timing(b.static); err != nil {
			return err
		}
	}
	l.controllerStatic = merged(common, o.ControllerConfigs)
	timing, err := o.Timings.timing(l.controllerStatic)
	l.controllerTiming = timing.Election
	return err
}

// unknownConfig says what may have been meant.
func unknownConfig(name string) error {
	if c := configs.Lookup(configs.Topic, name); c != nil {
		return badOption("there is no broker config %q: set it on topics, or %s for all of them", name, c.Broker)
	}
	return badOption("there is no broker config %q: docs/CONFIGS.md lists all there are", name)
}

// sized are the configs of the internal topics where Kafka's defaults ask for
// more brokers than there are, as the server.properties that come with Kafka
// set them for one broker.
func (l *layout) sized() map[string]string {
	n := len(l.brokers)
	out := map[string]string{}
	if n < 3 {
		out["offsets.topic.replication.factor"] = strconv.Itoa(n)
		out["transaction.state.log.replication.factor"] = strconv.Itoa(n)
		out["share.coordinator.state.topic.replication.factor"] = strconv.Itoa(n)
	}
	if n < 2 {
		out["transaction.state.log.min.isr"] = "1"
		out["share.coordinator.state.topic.min.isr"] = "1"
	}
	return out
}

func (l *layout) planFeatures(levels map[string]int16) error {
	l.features = election.DefaultFeatures()
	supported := election.SupportedFeatures()
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		level := levels[name]
		r, ok := supported[name]
		switch {
		case !ok:
			return badOption("there is no feature %q", name)
		case level < r.Min || level > r.Max:
			return badOption("feature %s=%d: levels are %d to %d", name, level, r.Min, r.Max)
		}
		l.features[name] = level
	}
	return nil
}

func (l *layout) planTopics(topics []TopicSpec) error {
	for i, t := range topics {
		if slices.ContainsFunc(topics[:i], func(other TopicSpec) bool { return other.Name == t.Name }) {
			return badOption("topic %s is there twice", t.Name)
		}
		if wrong := t.wrong(len(l.brokers)); wrong != "" {
			return badOption("%s", wrong)
		}
		l.topics = append(l.topics, t)
	}
	return nil
}

// wrong says what is wrong with a topic that can be seen without a controller, ""
// when nothing is.
func (t TopicSpec) wrong(brokers int) string {
	switch {
	case t.Name == "":
		return "a topic without a name"
	case t.Partitions < 1 || t.Partitions > math.MaxInt32:
		return fmt.Sprintf("topic %s: %d partitions", t.Name, t.Partitions)
	case t.ReplicationFactor < 0 || t.ReplicationFactor > brokers:
		return fmt.Sprintf("topic %s: %d replicas on %d brokers", t.Name, t.ReplicationFactor, brokers)
	case len(t.Replicas) > 0 && t.ReplicationFactor > 0:
		return fmt.Sprintf("topic %s: ReplicationFactor, and Replicas: give one of them", t.Name)
	case len(t.Replicas) > 0 && len(t.Replicas) != t.Partitions:
		return fmt.Sprintf("topic %s: Replicas of %d of %d partitions: place all of them, or none", t.Name, len(t.Replicas), t.Partitions)
	default:
		return ""
	}
}
