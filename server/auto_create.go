package server

import (
	"slices"
	"sync"

	"github.com/minikafka/minikafka/election"
)

// autoCreation are the topics that this broker is having created because a
// client asked for their metadata.
type autoCreation struct {
	mu       sync.Mutex
	inFlight map[string]chan struct{} // closed when the creation has ended
}

// begin tells which names are not being created yet, and marks them. done is
// closed when the creation of the last of the names has ended.
func (a *autoCreation) begin(names []string) (fresh []string, done <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inFlight == nil {
		a.inFlight = map[string]chan struct{}{}
	}
	begun := make(chan struct{})
	for _, n := range names {
		if a.inFlight[n] == nil {
			a.inFlight[n] = begun
			fresh = append(fresh, n)
		}
		done = a.inFlight[n]
	}
	return fresh, done
}

func (a *autoCreation) finish(names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.inFlight[names[0]])
	for _, n := range names {
		delete(a.inFlight, n)
	}
}

// autoCreate has the controller create topics, in the background: clients ask
// again until they are there (AutoTopicCreationManager). What goes wrong is
// logged only. What is returned is closed when this broker knows the last of the
// topics, and its leaders do if it is an internal one, or it could not be created.
func (b *broker) autoCreate(names []string) (done <-chan struct{}) {
	names, done = b.creating.begin(names)
	if len(names) == 0 {
		return done
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
		if b.images.wait(b.ctx, index) == nil && index > 0 && slices.ContainsFunc(names, internalTopic) {
			b.settle(b.ctx, names)
		}
	})
	return done
}
