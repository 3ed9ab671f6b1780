package election

import (
	"fmt"
	"math/rand/v2"

	"github.com/minikafka/minikafka/log"
)

// prepare makes a command ready for the log: what is random is chosen here, once,
// however often the command is sent.
func prepare(cmd Command) (applier, error) {
	switch cmd := cmd.(type) {
	case *CreateTopics:
		c := &createTopics{CreateTopics: *cmd}
		for range cmd.Topics {
			c.IDs = append(c.IDs, newTopicID())
		}
		return c, nil
	case applier:
		return cmd, nil
	}
	return nil, fmt.Errorf("%w: unknown command %T", ErrInvalidRequest, cmd)
}

// newTopicID makes a random (version 4) UUID.
func newTopicID() log.TopicID {
	var id log.TopicID
	for i := range 2 {
		r := rand.Uint64()
		for j := range 8 {
			id[8*i+j] = byte(r >> (8 * j))
		}
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
