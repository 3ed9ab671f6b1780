package election

import (
	"context"
	"time"
)

// settlePatience is how long a change is waited for on brokers that do not
// matter to it; one that is paused or cut off would hold it up until it is
// fenced.
const settlePatience = 100 * time.Millisecond

// awaitSettled is answered with nil when the newest metadata is in force: on
// the leaders of the topics, and, if they do not take long, on all other live
// brokers.
type awaitSettled struct{ Topics []string }

func (c *client) settle(ctx context.Context, topics []string) error {
	for {
		_, again, err := c.ask(ctx, &awaitSettled{topics})
		if !again {
			return err
		}
	}
}

// awaitSettled waits for brokers to have applied what the metadata is now.
func (c *controller) awaitSettled(ctx context.Context, msg *awaitSettled) error {
	index := c.image().Index
	patience := time.NewTimer(settlePatience)
	defer patience.Stop()
	patient := true
	for {
		moved := c.sessions.changed()
		p := c.fsm.published.Load()
		behind := c.sessions.behind(p.image, index)
		if len(behind) == 0 || !patient && !p.image.anyLeads(behind, msg.Topics) {
			return nil
		}
		select {
		case <-moved:
		case <-p.changed:
		case <-patience.C:
			patient = false
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// behind are the live brokers that have not applied the metadata of index.
func (s *sessions) behind(m *Image, index uint64) map[int32]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	behind := map[int32]bool{}
	for id, registered := range m.Brokers {
		if registered.Fenced {
			continue
		}
		if b := s.brokers[id]; b == nil || b.epoch != registered.Epoch || b.applied < index {
			behind[id] = true
		}
	}
	return behind
}

// anyLeads tells whether one of the brokers leads a partition of the topics.
func (m *Image) anyLeads(brokers map[int32]bool, topics []string) bool {
	for _, name := range topics {
		t := m.Topics[name]
		if t == nil {
			continue
		}
		for _, p := range t.Partitions {
			if brokers[p.Leader] {
				return true
			}
		}
	}
	return false
}
