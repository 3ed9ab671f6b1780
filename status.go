package minikafka

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

// Status is the whole cluster at a glance. Its String is a table.
type Status struct {
	ClusterID   string             `json:"cluster_id"`
	Controllers []ControllerStatus `json:"controllers"`
	Brokers     []BrokerStatus     `json:"brokers"`
	// Cut are the links between nodes that run and that no message passes.
	Cut []CutLink `json:"cut,omitempty"`
	// Slow are the links that delay or lose messages.
	Slow []SlowLink `json:"slow,omitempty"`
	// Faults are the faults of requests that may still apply.
	Faults     []FaultStatus    `json:"faults,omitempty"`
	Partitions []PartitionState `json:"partitions"`
}

// ControllerStatus is one controller.
type ControllerStatus struct {
	ID     int32 `json:"id"`
	State  State `json:"state"`
	Active bool  `json:"active"`
}

// BrokerStatus is one broker.
type BrokerStatus struct {
	ID    int32  `json:"id"`
	Addr  string `json:"addr"`
	Rack  string `json:"rack,omitempty"`
	State State  `json:"state"`
	// Registered tells whether the controller knows the broker, Fenced whether
	// it keeps it from serving.
	Registered bool  `json:"registered"`
	Fenced     bool  `json:"fenced"`
	Epoch      int64 `json:"epoch"`
	// Disk is what is wrong with its disk; nil when nothing is.
	Disk *Disk `json:"disk,omitempty"`
}

// CutLink is a link that is cut one way.
type CutLink struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// SlowLink is a link that delays or loses messages, one way.
type SlowLink struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Delay is what every message takes longer, Jitter what it may take on top.
	Delay  time.Duration `json:"delay_ns,omitempty"`
	Jitter time.Duration `json:"jitter_ns,omitempty"`
	// Loss is the share of packets that get lost.
	Loss float64 `json:"loss,omitempty"`
}

func (l SlowLink) String() string {
	text := fmt.Sprintf("from %s to %s", l.From, l.To)
	if l.Delay > 0 || l.Jitter > 0 {
		text += fmt.Sprintf(" %v longer", l.Delay)
	}
	if l.Jitter > 0 {
		text += fmt.Sprintf(" and up to %v on top", l.Jitter)
	}
	if l.Loss > 0 {
		text += fmt.Sprintf(", %g of packets lost", l.Loss)
	}
	return text
}

// Status tells the state of all nodes and partitions.
func (c *Cluster) Status() Status { return c.cluster.status() }

func (c *cluster) status() Status {
	s := Status{ClusterID: c.id, Cut: c.cuts(), Slow: c.slow(), Faults: c.faultStatus()}
	active := c.active()
	for _, n := range c.controllers {
		s.Controllers = append(s.Controllers, ControllerStatus{ID: n.id, State: n.stateNow(), Active: n == active})
	}
	image := c.image()
	for _, n := range c.brokers {
		b := BrokerStatus{ID: n.plan.id, Addr: n.address(), Rack: n.plan.rack, State: n.stateNow(), Epoch: -1}
		if image != nil && image.Brokers[b.ID] != nil {
			r := image.Brokers[b.ID]
			b.Registered, b.Fenced, b.Epoch = true, r.Fenced, r.Epoch
		}
		if disk := n.disk.now(); disk != (Disk{}) {
			b.Disk = &disk
		}
		s.Brokers = append(s.Brokers, b)
	}
	if image == nil {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(image.Topics)) {
		t := image.Topics[name]
		for i, p := range t.Partitions {
			id := log.PartitionID{Topic: t.ID, Partition: int32(i)}
			s.Partitions = append(s.Partitions, c.partitionState(name, id, p))
		}
	}
	return s
}

// cuts are the links that are cut between nodes that run.
func (c *cluster) cuts() []CutLink {
	var up []int
	nodes := c.nodes()
	for i := range nodes {
		if i < len(c.brokers) && c.brokers[i].running() != nil ||
			i >= len(c.brokers) && c.controllers[i-len(c.brokers)].running() != nil {
			up = append(up, i)
		}
	}
	var cut []CutLink
	for _, from := range up {
		for _, to := range up {
			if from != to && c.fabric.IsCut(nodes[from], nodes[to]) {
				cut = append(cut, CutLink{nodes[from].String(), nodes[to].String()})
			}
		}
	}
	return cut
}

// slow are the links that delay or lose messages, in order.
func (c *cluster) slow() []SlowLink {
	links := c.fabric.Slow()
	slices.SortFunc(links, func(a, b fabric.SlowLink) int {
		return cmp.Or(cmp.Compare(a.From.String(), b.From.String()), cmp.Compare(a.To.String(), b.To.String()))
	})
	out := make([]SlowLink, len(links))
	for i, l := range links {
		out[i] = SlowLink{From: l.From.String(), To: l.To.String(), Delay: l.Delay, Jitter: l.Jitter, Loss: l.Loss}
	}
	return out
}

// String is the status as a table to read.
func (s Status) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, c := range s.Controllers {
		role := string(c.State)
		if c.Active {
			role += ", active"
		}
		line(w, "controller %d\t%s", c.ID, role)
	}
	for _, b := range s.Brokers {
		state := string(b.State)
		if b.State == Running && b.Fenced {
			state += ", fenced"
		} else if b.State == Running && !b.Registered {
			state += ", not registered"
		}
		rack := ""
		if b.Rack != "" {
			rack = "rack " + b.Rack
		}
		line(w, "broker %d\t%s\t%s\t%s", b.ID, state, b.Addr, rack)
	}
	_ = w.Flush() // a strings.Builder takes all
	for _, b := range s.Brokers {
		if b.Disk != nil {
			line(&out, "disk of broker %d: %v", b.ID, b.Disk)
		}
	}
	for _, l := range s.Cut {
		line(&out, "no link from %s to %s", l.From, l.To)
	}
	for _, l := range s.Slow {
		line(&out, "slow link %v", l)
	}
	for _, f := range s.Faults {
		line(&out, "fault %v", f)
	}
	if len(s.Partitions) > 0 {
		s.writePartitions(&out)
	}
	return out.String()
}

func (s Status) writePartitions(out *strings.Builder) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line(w, "PARTITION\tLEADER\tEPOCH\tISR\tELR\tHW\tLOG ENDS")
	idle := map[string]int{}
	for _, p := range s.Partitions {
		if p.idle() {
			idle[p.Topic]++
			continue
		}
		leader := "none"
		if p.Leader >= 0 {
			leader = fmt.Sprint(p.Leader)
		}
		ends := make([]string, len(p.Logs))
		for i, l := range p.Logs {
			ends[i] = fmt.Sprintf("%d:%s", l.Broker, offset(l.LogEnd))
		}
		held := ""
		if p.Held {
			held = "  held"
		}
		line(w, "%s/%d\t%s\t%d\t%s\t%s\t%s\t%s%s", p.Topic, p.Partition, leader, p.LeaderEpoch,
			ids(p.ISR), ids(p.ELR), offset(p.HighWatermark), strings.Join(ends, " "), held)
	}
	_ = w.Flush() // a strings.Builder takes all
	for _, topic := range slices.Sorted(maps.Keys(idle)) {
		line(out, "%s has %d more partitions, all in sync and empty", topic, idle[topic])
	}
}

// idle tells whether a partition of an internal topic has nothing to tell of: such
// topics have 50 partitions, few of which are ever used.
func (p PartitionState) idle() bool {
	if !strings.HasPrefix(p.Topic, "__") || p.Leader < 0 || p.Held || len(p.ISR) < len(p.Replicas) {
		return false
	}
	return !slices.ContainsFunc(p.Logs, func(l ReplicaState) bool { return l.LogEnd > 0 })
}

func line(w interface{ Write([]byte) (int, error) }, format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\t ")
	_, _ = fmt.Fprintln(w, text) // a strings.Builder takes all
}

func ids(list []int32) string {
	if len(list) == 0 {
		return "-"
	}
	text := make([]string, len(list))
	for i, id := range list {
		text[i] = fmt.Sprint(id)
	}
	return strings.Join(text, ",")
}

func offset(n int64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
