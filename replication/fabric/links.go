package fabric

import "time"

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

// Delay makes messages from one node to the other take d longer, plus what
// jitter returns for each when it is not nil. d 0 and a nil jitter end it.
func (f *Fabric) Delay(from, to Node, d time.Duration, jitter func() time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.link(link{from, to})
	s.delay, s.jitter = d, jitter
	f.signal()
}

// Heal opens every link and ends all delays. Pauses stay.
func (f *Fabric) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.links = map[link]*linkState{}
	f.signal()
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

// link returns the link's state, making it if needed; f.mu is held.
func (f *Fabric) link(l link) *linkState {
	s := f.links[l]
	if s == nil {
		s = &linkState{}
		f.links[l] = s
	}
	return s
}
