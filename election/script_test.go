package election

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/log"
)

// noRules is a catalogue that allows everything.
type noRules struct{}

func (noRules) ValidateTopic(map[string]string) error  { return nil }
func (noRules) ValidateBroker(map[string]string) error { return nil }
func (noRules) IsList(name string) bool                { return name == "cleanup.policy" }
func (noRules) Default(name string) string {
	return map[string]string{minISRConfig: "1", numPartitionsConfig: "1", defaultRFConfig: "1", "cleanup.policy": "delete"}[name]
}

// world applies commands to an image one by one, as the state machine does.
type world struct {
	t      *testing.T
	codec  *codec
	image  *Image
	hidden hidden
	next   uint64
	rules  ConfigRules
	// applied, when set, is told of each entry.
	applied func(index uint64, entry []byte)
}

// newWorld is a formatted cluster with unfenced brokers.
func newWorld(t *testing.T, elr bool, brokers ...int32) *world {
	t.Helper()
	w := &world{t: t, codec: newCodec(), image: emptyImage(), rules: noRules{}}
	features := DefaultFeatures()
	if !elr {
		features[elrFeature] = 0
	}
	w.must(&claim{ClusterID: "test", Features: features})
	for _, id := range brokers {
		w.register(id, -1)
		w.must(&unfenceBroker{ID: id, Epoch: w.epoch(id), Applied: w.image.Index})
	}
	return w
}

// apply applies a command after a round trip through the log's encoding.
func (w *world) apply(cmd applier) (any, error) {
	w.t.Helper()
	b, err := w.codec.encode(1, cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	_, read, err := w.codec.decode(b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.next++
	if w.applied != nil {
		w.applied(w.next, b)
	}
	e := newEdit(w.image, w.hidden, w.rules)
	e.Term, e.Index = 1, w.next
	answer, err := read.apply(e)
	w.hidden = e.hidden
	before := w.image
	if e.changed {
		m := e.Image
		w.image = &m
	}
	w.checkInvariants(before, w.image)
	return answer, err
}

func (w *world) must(cmd applier) any {
	w.t.Helper()
	answer, err := w.apply(cmd)
	if err != nil {
		w.t.Fatalf("%T: %v", cmd, err)
	}
	return answer
}

func (w *world) epoch(id int32) int64 { return w.image.Brokers[id].Epoch }

// register registers a new incarnation.
func (w *world) register(id int32, previous int64) {
	w.t.Helper()
	cmd := &registerBroker{ID: id, PreviousEpoch: previous, Host: "h", Port: 1}
	copy(cmd.Incarnation[:], fmt.Sprint(w.next))
	w.must(cmd)
}

// create makes the topic t with one partition on the replicas.
func (w *world) create(replicas []int32, configs map[string]string) {
	w.t.Helper()
	r := w.must(&createTopics{
		CreateTopics: CreateTopics{Topics: []NewTopic{{
			Name: "t", Partitions: -1, ReplicationFactor: -1, Assignment: map[int32][]int32{0: replicas}, Configs: configs,
		}}},
		IDs: []log.TopicID{{15: byte(w.next + 1)}},
	}).([]CreateTopicResult)
	if r[0].Err != nil {
		w.t.Fatal(r[0].Err)
	}
}

func (w *world) partition() *Partition { return w.image.Topics["t"].Partitions[0] }

// checkInvariants holds for every command whatever.
func (w *world) checkInvariants(before, after *Image) {
	w.t.Helper()
	for name, t := range after.Topics {
		for i, p := range t.Partitions {
			if err := invariants(after, p); err != "" {
				w.t.Errorf("%s-%d %s: %s", name, i, show(p), err)
			}
			old := before.Topics[name]
			if old == nil || i >= len(old.Partitions) {
				continue
			}
			o := old.Partitions[i]
			switch {
			case o == p:
			case p.PartitionEpoch != o.PartitionEpoch+1 && p.PartitionEpoch != o.PartitionEpoch+2:
				w.t.Errorf("%s: partition epoch %d to %d", name, o.PartitionEpoch, p.PartitionEpoch)
			case p.Leader != o.Leader && p.LeaderEpoch == o.LeaderEpoch:
				w.t.Errorf("%s: another leader in the same epoch: %s to %s", name, show(o), show(p))
			case len(p.ISR) == 0 && len(o.ISR) > 0 && !after.elrOn():
				w.t.Errorf("%s: the ISR became empty without ELR: %s to %s", name, show(o), show(p))
			case p.LeaderEpoch < o.LeaderEpoch:
				w.t.Errorf("%s: leader epoch fell: %s to %s", name, show(o), show(p))
			}
		}
	}
}

// invariants are those of a single partition; "" when all hold.
func invariants(m *Image, p *Partition) string {
	switch {
	case p.Leader != noLeader && !slices.Contains(p.ISR, p.Leader):
		return "the leader is not in the ISR"
	case p.Leader != noLeader && !m.Brokers[p.Leader].Alive():
		return "the leader is not alive"
	case !containsAll(p.Replicas, p.ISR) || !containsAll(p.Replicas, p.ELR):
		return "a member is no replica"
	case slices.ContainsFunc(p.ELR, func(r int32) bool { return slices.Contains(p.ISR, r) }):
		return "ISR and ELR overlap"
	}
	return ""
}

// show is a partition in short: leader, epochs, ISR, ELR, last known leader.
func show(p *Partition) string {
	s := fmt.Sprintf("%d e%d p%d isr%v", p.Leader, p.LeaderEpoch, p.PartitionEpoch, p.ISR)
	if len(p.ELR) > 0 {
		s += fmt.Sprintf(" elr%v", p.ELR)
	}
	if len(p.LastKnownELR) > 0 {
		s += fmt.Sprintf(" last%v", p.LastKnownELR)
	}
	if p.Reassigning() {
		s += fmt.Sprintf(" of%v adding%v removing%v", p.Replicas, p.Adding, p.Removing)
	}
	if p.Recovering {
		s += " recovering"
	}
	return s
}

// run runs a script of events, and returns the error of the last one.
func (w *world) run(script string) error {
	w.t.Helper()
	var err error
	for step := range strings.SplitSeq(script, ";") {
		if step = strings.TrimSpace(step); step != "" {
			err = w.step(step)
		}
	}
	return err
}

func (w *world) step(step string) error {
	w.t.Helper()
	verb, rest, _ := strings.Cut(step, " ")
	switch verb {
	case "preferred", "unclean":
		return w.must(&ElectLeaders{Unclean: verb == "unclean", Partitions: []PartitionRef{{"t", 0}}}).([]ElectResult)[0].Err
	case "sweep":
		w.must(&electPeriodically{Preferred: rest == "preferred"})
	case "isr":
		return w.alterISR(numbers(rest))
	case "reassign":
		return w.must(&AlterReassignments{AllowReplicationFactorChange: true, Partitions: []Reassignment{
			{PartitionRef{"t", 0}, numbers(rest)},
		}}).([]ElectResult)[0].Err
	case "cancel":
		return w.must(&AlterReassignments{Partitions: []Reassignment{{PartitionRef: PartitionRef{"t", 0}}}}).([]ElectResult)[0].Err
	case "min", "allow-unclean":
		name := map[string]string{"min": minISRConfig, "allow-unclean": uncleanConfig}[verb]
		return w.alterConfig(ConfigResource{Topic: "t"}, name, rest)
	case "cluster-min", "cluster-allow-unclean":
		name := map[string]string{"cluster-min": minISRConfig, "cluster-allow-unclean": uncleanConfig}[verb]
		return w.alterConfig(ConfigResource{IsBroker: true, Broker: -1}, name, rest)
	case "static-allow-unclean":
		w.must(&claim{Static: map[string]string{uncleanConfig: rest}})
	case "elr":
		up := FeatureUpdate{Name: elrFeature, Level: 1, UpgradeType: upgradeOnly}
		if rest == "off" {
			up.Level, up.UpgradeType = 0, safeDowngrade
		}
		w.must(&UpdateFeatures{Updates: []FeatureUpdate{up}})
	default:
		return w.brokerStep(verb, rest)
	}
	return nil
}

// brokerStep is what happens to brokers, one or several.
func (w *world) brokerStep(verb, rest string) error {
	w.t.Helper()
	for _, id := range numbers(rest) {
		var cmd applier
		switch verb {
		case "fence":
			cmd = &fenceBroker{ID: id, Epoch: w.epoch(id)}
		case "unfence":
			cmd = &unfenceBroker{ID: id, Epoch: w.epoch(id), Applied: w.image.Index}
		case "shutdown":
			cmd = &beginShutdown{ID: id, Epoch: w.epoch(id)}
		case "unregister":
			cmd = &UnregisterBroker{Broker: id}
		case "offline":
			cmd = &ReportOffline{Broker: id, BrokerEpoch: w.epoch(id)}
		case "crashed": // Registers again without a clean shutdown.
			w.register(id, -1)
			continue
		case "stopped": // Registers again after a clean one.
			w.register(id, w.epoch(id))
			continue
		default:
			w.t.Fatalf("unknown step %q", verb)
		}
		w.must(cmd)
	}
	return nil
}

func (w *world) alterISR(isr []int32) error {
	p := w.partition()
	cmd := &AlterPartition{
		Broker: p.Leader, BrokerEpoch: w.epoch(p.Leader), Partition: log.PartitionID{Topic: w.image.Topics["t"].ID},
		LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
	}
	for _, id := range isr {
		cmd.NewISR = append(cmd.NewISR, ISRMember{id, -1})
	}
	_, err := w.apply(cmd)
	return err
}

func (w *world) alterConfig(r ConfigResource, name, value string) error {
	ch := ConfigChange{Name: name, Value: &value}
	if value == "" {
		ch = ConfigChange{Name: name, Op: OpDelete}
	}
	return w.must(&AlterConfigs{Resources: []ResourceChange{{r, []ConfigChange{ch}}}}).([]error)[0]
}

func numbers(s string) []int32 {
	list := []int32{}
	for f := range strings.FieldsSeq(s) {
		n, err := strconv.Atoi(f)
		if err != nil {
			panic(err)
		}
		list = append(list, int32(n))
	}
	return list
}

// row is a script with what the partition is afterwards.
type row struct {
	name     string
	on, off  string // with ELR on and off; "" means not run
	replicas []int32
	min      string
	script   string
	err      error // of the last step
}

func (r row) run(t *testing.T, elr bool, want string) {
	t.Parallel()
	w := newWorld(t, elr, 1, 2, 3)
	configs := map[string]string{}
	if r.min != "" {
		configs[minISRConfig] = r.min
	}
	replicas := r.replicas
	if replicas == nil {
		replicas = []int32{1, 2, 3}
	}
	w.create(replicas, configs)
	err := w.run(r.script)
	if !errors.Is(err, r.err) {
		t.Errorf("the last step's error is %v, want %v", err, r.err)
	}
	if got := show(w.partition()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		if r.on != "" {
			t.Run(r.name+"/ELR on", func(t *testing.T) { r.run(t, true, r.on) })
		}
		if r.off != "" {
			t.Run(r.name+"/ELR off", func(t *testing.T) { r.run(t, false, r.off) })
		}
	}
}
