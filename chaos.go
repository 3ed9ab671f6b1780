package minikafka

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/minikafka/minikafka/replication/fabric"
)

// Mishap is a kind of fault that [Cluster.Chaos] causes.
type Mishap string

// The kinds of faults of [Cluster.Chaos]. Each ends by itself: what has ended is
// started again, what is cut is mended.
const (
	// MishapCrash, MishapPowerOff and MishapShutdown end a broker, and restart it.
	MishapCrash    Mishap = "crash"
	MishapPowerOff Mishap = "power-off"
	MishapShutdown Mishap = "shutdown"
	// MishapPause pauses a broker.
	MishapPause Mishap = "pause"
	// MishapReset resets the connections of a broker's clients.
	MishapReset Mishap = "reset"
	// MishapLostAnswers has a broker lose some answers to Produce after the work.
	MishapLostAnswers Mishap = "lost answers"
	// MishapIsolate cuts a broker off from all other nodes, MishapOrphan from the
	// controllers alone, and MishapCut stops messages from one broker to another.
	MishapIsolate Mishap = "isolate"
	MishapOrphan  Mishap = "orphan"
	MishapCut     Mishap = "cut"
	// MishapDelay and MishapLoss make the links of a broker slow or lossy.
	MishapDelay Mishap = "delay"
	MishapLoss  Mishap = "loss"
	// MishapSlowDisk makes a broker's disk slow, MishapBadDisk has it fail.
	MishapSlowDisk Mishap = "slow disk"
	MishapBadDisk  Mishap = "bad disk"
	// MishapCrashController, MishapPauseController and MishapIsolateController
	// are for controllers.
	MishapCrashController   Mishap = "crash controller"
	MishapPauseController   Mishap = "pause controller"
	MishapIsolateController Mishap = "isolate controller"
)

// Mishaps are all kinds of faults there are.
func Mishaps() []Mishap {
	return []Mishap{
		MishapCrash, MishapPowerOff, MishapShutdown, MishapPause, MishapReset, MishapLostAnswers,
		MishapIsolate, MishapOrphan, MishapCut, MishapDelay, MishapLoss, MishapSlowDisk, MishapBadDisk,
		MishapCrashController, MishapPauseController, MishapIsolateController,
	}
}

// ofController tells whether the fault is one of a controller.
func (m Mishap) ofController() bool {
	return m == MishapCrashController || m == MishapPauseController || m == MishapIsolateController
}

// ofLinks tells whether the fault is one of links.
func (m Mishap) ofLinks() bool {
	switch m {
	case MishapIsolate, MishapOrphan, MishapCut, MishapDelay, MishapLoss, MishapIsolateController:
		return true
	default:
		return false
	}
}

// ChaosOptions say what [Cluster.Chaos] does.
type ChaosOptions struct {
	// For is how long it goes on; it must be set.
	For time.Duration
	// Every is the mean time from one fault to the next, by default a twentieth of
	// For, and Lasting the mean time that a fault lasts, by default half of Every.
	Every, Lasting time.Duration
	// Kinds are the faults there may be, by default all [Mishaps].
	Kinds []Mishap
	// AtOnce is how many brokers may be out of order at the same time, by default
	// one. A broker is in order again when its fault has ended and it is in sync
	// with all its partitions, so that with one at once, three replicas and
	// min.insync.replicas=2 everything that was acknowledged with acks=all is kept.
	// Controllers come on top, one at a time, and so do links: one fault of links
	// at a time.
	AtOnce int
}

// ChaosStep is one fault of a schedule.
type ChaosStep struct {
	// At is when it begins, counted from the beginning of the chaos; it begins
	// later when too much is out of order then. For is how long it lasts.
	At, For time.Duration
	Kind    Mishap
	// Node is the id of the broker or controller; To of another broker.
	Node, To int32
	// Delay is of slow links and disks, Share of lossy links and lost answers.
	Delay time.Duration
	Share float64
	// Nth is the write with which a bad disk fails.
	Nth int
}

func (s ChaosStep) String() string {
	node := fmt.Sprintf("broker %d", s.Node)
	if s.Kind.ofController() {
		node = fmt.Sprintf("controller %d", s.Node)
	}
	kind := strings.TrimSuffix(string(s.Kind), " controller")
	text := fmt.Sprintf("%8v  %-12s %s", s.At, kind, node)
	switch s.Kind {
	case MishapCut:
		text += fmt.Sprintf(" to broker %d", s.To)
	case MishapDelay, MishapSlowDisk:
		text += fmt.Sprintf(" by %v", s.Delay)
	case MishapLoss, MishapLostAnswers:
		text += fmt.Sprintf(", a share of %g", s.Share)
	case MishapBadDisk:
		text += fmt.Sprintf(" at write %d", s.Nth)
	default:
	}
	if s.Kind != MishapReset {
		text += fmt.Sprintf(" for %v", s.For)
	}
	return text
}

// withDefaults checks the options and fills in what is not set.
func (o ChaosOptions) withDefaults(brokers int) (ChaosOptions, error) {
	if o.Every == 0 {
		o.Every = o.For / 20
	}
	if o.Lasting == 0 {
		o.Lasting = o.Every / 2
	}
	if len(o.Kinds) == 0 {
		o.Kinds = Mishaps()
	}
	if o.AtOnce == 0 {
		o.AtOnce = 1
	}
	if brokers < 2 {
		o.Kinds = slices.DeleteFunc(slices.Clone(o.Kinds), func(m Mishap) bool { return m == MishapCut })
	}
	switch {
	case o.For <= 0:
		return o, fmt.Errorf("%w: Chaos: For is %v: it takes how long it is to go on", ErrArgument, o.For)
	case o.Every < 0 || o.Lasting < 0:
		return o, fmt.Errorf("%w: Chaos: Every is %v and Lasting %v: neither may be negative", ErrArgument, o.Every, o.Lasting)
	case o.AtOnce < 0 || o.AtOnce > brokers:
		return o, fmt.Errorf("%w: Chaos: AtOnce is %d: it takes 1 to %d, as many brokers as there are", ErrArgument, o.AtOnce, brokers)
	case len(o.Kinds) == 0:
		return o, fmt.Errorf("%w: Chaos: one broker has no links to others to cut", ErrArgument)
	}
	for _, k := range o.Kinds {
		if !slices.Contains(Mishaps(), k) {
			return o, fmt.Errorf("%w: Chaos: there is no %q: Mishaps lists what there is", ErrArgument, k)
		}
	}
	o.Every, o.Lasting = max(o.Every, time.Millisecond), max(o.Lasting, time.Millisecond)
	return o, nil
}

// chaosStream tells the random numbers of schedules from others of the same seed.
const chaosStream = 0xc4a05

// schedule draws what happens; it depends on nothing but its arguments.
func schedule(seed uint64, o ChaosOptions, brokers, controllers []int32) []ChaosStep {
	r := rand.New(rand.NewPCG(seed, chaosStream))
	var steps []ChaosStep
	at := time.Duration(0)
	for {
		at += time.Duration(min(r.ExpFloat64()*float64(o.Every), math.MaxInt64/4)).Round(time.Millisecond)
		if at >= o.For {
			return steps
		}
		s := ChaosStep{
			At: at, For: (o.Lasting/2 + time.Duration(r.Int64N(int64(o.Lasting)))).Round(time.Millisecond),
			Kind: o.Kinds[r.IntN(len(o.Kinds))],
		}
		// All are drawn for every step, so that options change as little as they can.
		from := r.Perm(len(brokers))
		controller := controllers[r.IntN(len(controllers))]
		s.Node = brokers[from[0]]
		delays := []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond, 5 * time.Second}
		delay, share, nth := delays[r.IntN(len(delays))], []float64{0.01, 0.1, 0.3}[r.IntN(3)], 1+r.IntN(10)
		switch s.Kind {
		case MishapCut:
			s.To = brokers[from[1]]
		case MishapDelay, MishapSlowDisk:
			s.Delay = delay
		case MishapLoss, MishapLostAnswers:
			s.Share = share
		case MishapBadDisk:
			s.Nth = nth
		case MishapReset:
			s.For = 0
		case MishapCrashController, MishapPauseController, MishapIsolateController:
			s.Node = controller
		default:
		}
		steps = append(steps, s)
	}
}

// nodes are the brokers that the step puts out of order.
func (s ChaosStep) brokers() []int32 {
	switch {
	case s.Kind.ofController(), s.Kind == MishapReset:
		return nil
	case s.Kind == MishapCut:
		return []int32{s.Node, s.To}
	default:
		return []int32{s.Node}
	}
}

// links are the links that the step breaks, one way each.
func (c *cluster) links(s ChaosStep) [][2]fabric.Node {
	node := fabric.Broker(s.Node)
	if s.Kind == MishapIsolateController {
		node = fabric.Controller(s.Node)
	}
	var links [][2]fabric.Node
	for _, other := range c.nodes() {
		switch {
		case other == node,
			s.Kind == MishapCut && other != fabric.Broker(s.To),
			s.Kind == MishapOrphan && other.Role != fabric.RoleController:
			continue
		}
		links = append(links, [2]fabric.Node{node, other})
		if s.Kind != MishapCut {
			links = append(links, [2]fabric.Node{other, node})
		}
	}
	return links
}
