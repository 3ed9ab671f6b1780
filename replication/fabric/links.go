package fabric

import (
	"math/rand/v2"
	"time"
)

// Cut stops messages from one node to the other, one way. Answers to calls the
// other way are stopped too, as they travel this link.
func (f *Fabric) Cut(from, to Node) { f.setCut(true, link{from, to}) }

// Split cuts, both ways, every link between nodes of different groups. Nodes in
// no group keep all their links.
func (f *Fabric) Split(groups ...[]Node) {
	var ls []link
	for i, a := range groups {
		for j, b := range groups {
			if i == j {
				continue
			}
			for _, from := range a {
				for _, to := range b {
					ls = append(ls, link{from, to})
				}
			}
		}
	}
	f.setCut(true, ls...)
}

func (f *Fabric) setCut(cut bool, ls ...link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range ls {
		f.link(l).cut = cut
	}
	f.signal()
}

// Delay makes messages from one node to the other take d longer, plus up to
// jitter. 0 and 0 end it.
func (f *Fabric) Delay(from, to Node, d, jitter time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.link(link{from, to})
	s.delay, s.jitter = d, jitter
	f.signal()
}

// Lose makes a share (0 to 1) of the packets from one node to the other get
// lost, which TCP shows as time: a packet is sent again after [RetransmitAfter],
// then after twice that, and so on; when it was lost Retransmits times too the
// connection breaks, and the call gets ErrReset. A share of 0 ends it.
func (f *Fabric) Lose(from, to Node, share float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.link(link{from, to}).loss = share
	f.signal()
}

// How TCP repeats what is lost: the least retransmission timeout of Linux, and
// how often a packet is sent again. Linux tries longer (tcp_retries2), but
// Kafka's requests then end by their own timeout, with the same outcome.
const (
	RetransmitAfter = 200 * time.Millisecond
	Retransmits     = 6
)

// Seed says what links draw at random from here on, for those that are neither
// delayed nor lossy yet.
func (f *Fabric) Seed(seed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seed = seed
}

// Heal opens every link, and ends all delays and losses: what is on its way
// arrives at once. Pauses stay.
func (f *Fabric) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.links {
		close(s.healed)
	}
	f.links = map[link]*linkState{}
	f.signal()
}

// Quality is what is wrong with a link.
type Quality struct {
	Cut           bool
	Delay, Jitter time.Duration
	Loss          float64
}

// Break gives links, each from its first node to its second, this quality.
func (f *Fabric) Break(links [][2]Node, q Quality) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ends := range links {
		s := f.link(link{ends[0], ends[1]})
		s.cut, s.delay, s.jitter, s.loss = q.Cut, q.Delay, q.Jitter, q.Loss
	}
	f.signal()
}

// Mend is [Fabric.Heal] of some links.
func (f *Fabric) Mend(links [][2]Node) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ends := range links {
		if s := f.links[link{ends[0], ends[1]}]; s != nil {
			close(s.healed)
			delete(f.links, link{ends[0], ends[1]})
		}
	}
	f.signal()
}

// SlowLink is a link that delays or loses messages.
type SlowLink struct {
	From, To      Node
	Delay, Jitter time.Duration
	Loss          float64
}

// Slow lists the links that delay or lose messages, in no order.
func (f *Fabric) Slow() []SlowLink {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []SlowLink
	for l, s := range f.links {
		if s.delay > 0 || s.jitter > 0 || s.loss > 0 {
			all = append(all, SlowLink{From: l.from, To: l.to, Delay: s.delay, Jitter: s.jitter, Loss: s.loss})
		}
	}
	return all
}

// Pause closes the node's gate: nothing it sends leaves, nothing sent to it
// arrives, until Resume.
func (f *Fabric) Pause(n Node) { f.setPaused(n, true) }

// Resume opens the node's gate.
func (f *Fabric) Resume(n Node) { f.setPaused(n, false) }

func (f *Fabric) setPaused(n Node, paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if paused {
		f.paused[n] = true
	} else {
		delete(f.paused, n)
	}
	f.signal()
}

// linkState is the state of one link, one way, until it is healed.
type linkState struct {
	cut           bool
	delay, jitter time.Duration
	loss          float64
	random        *rand.Rand
	healed        chan struct{} // closed by Heal
}

// link returns the link's state, making it if needed; f.mu is held.
func (f *Fabric) link(l link) *linkState {
	s := f.links[l]
	if s == nil {
		s = &linkState{random: rand.New(rand.NewPCG(f.seed, l.number())), healed: make(chan struct{})}
		f.links[l] = s
	}
	return s
}

// number tells links apart.
func (l link) number() uint64 { return l.from.number()<<32 | l.to.number() }

func (n Node) number() uint64 { return uint64(n.Role)<<24 ^ uint64(uint32(n.ID)) }

// trip is what lies before a message on its way; the zero value is an open road.
type trip struct {
	takes  time.Duration
	breaks bool // the connection, after that time
	healed <-chan struct{}
}

// draw casts lots for one message; f.mu is held.
func (f *Fabric) draw(l link) trip {
	s := f.links[l]
	if s == nil {
		return trip{}
	}
	takes := s.delay
	if s.jitter > 0 {
		takes += time.Duration(s.random.Int64N(int64(s.jitter) + 1))
	}
	again := RetransmitAfter
	for n := 0; s.loss > 0 && s.random.Float64() < s.loss; n++ {
		takes += again
		if n == Retransmits {
			return trip{takes: takes, breaks: true, healed: s.healed}
		}
		again *= 2
	}
	if takes == 0 {
		return trip{}
	}
	return trip{takes: takes, healed: s.healed}
}
