package server

import (
	"sync"

	"github.com/minikafka/minikafka/election"
)

// autoCreation are the topics that this broker is having created because a
// client asked for their metadata.
type autoCreation struct {
	mu       sync.Mutex
	inFlight map[string]bool
}

// begin tells which names are not being created yet, and marks them.
func (a *autoCreation) begin(names []string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inFlight == nil {
		a.inFlight = map[string]bool{}
	}
	var fresh []string
	for _, n := range names {
		if !a.inFlight[n] {
			a.inFlight[n] = true
			fresh = append(fresh, n)
		}
	}
	return fresh
}

func (a *autoCreation) finish(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range names {
		delete(a.inFlight, n)
	}
}

// autoCreate has the controller create topics, in the background: clients ask
// again until they are there (AutoTopicCreationManager). What goes wrong is
// logged only.
func (b *broker) autoCreate(names []string) {
	names = b.creating.begin(names)
	if len(names) == 0 {
		return
	}
	v := b.values(b.image())
	c := &election.CreateTopics{Internal: true}
	for _, n := range names {
		c.Topics = append(c.Topics, newAutoTopic(v, n))
	}
	b.spawn(func() {
		defer b.creating.finish(names)
		answer, err := b.do(b.ctx, c)
		if err != nil {
			b.logger.Warn("topics were not created", "topics", names, "error", err)
			return
		}
		results, _ := answer.([]election.CreateTopicResult)
		var index uint64
		for _, r := range results {
			if r.Err != nil {
				b.logger.Warn("topic was not created", "topic", r.Name, "error", r.Err)
			}
			index = max(index, r.Index)
		}
		// Until this broker knows the topics, asking for them is not to create
		// them again.
		_ = b.images.wait(b.ctx, index)
	})
}
