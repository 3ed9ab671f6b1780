package election

import (
	"maps"
	"strings"

	"github.com/minikafka/minikafka/log"
)

// maxPartitionsPerRequest bounds what one request creates
// (RCM.MAX_PARTITIONS_PER_BATCH).
const maxPartitionsPerRequest = 10_000

// createTopics is CreateTopics with the topic ids the sender chose. They tell a
// command that is sent again, since the controller died over it, from another
// one: Kafka answers that the topic exists already.
type createTopics struct {
	CreateTopics
	IDs []log.TopicID
}

// apply creates topics (RCM.createTopics). All names are checked before the
// first topic is there; a name given twice is refused both times.
func (c *createTopics) apply(e *edit) (any, error) {
	if c.ValidateOnly {
		e = e.fork()
	}
	results := make([]CreateTopicResult, len(c.Topics))
	tooMany := c.partitions(e) > maxPartitionsPerRequest
	asked := map[string]int{}
	for i := range c.Topics {
		asked[c.Topics[i].Name]++
	}
	for i := range c.Topics {
		n := &c.Topics[i]
		results[i].Name = n.Name
		switch {
		case tooMany:
			results[i].Err = fail(ErrPolicyViolation, "Excessively large number of partitions per request.")
		case asked[n.Name] > 1:
			results[i].Err = fail(ErrInvalidRequest, "Duplicate topic name.")
		default:
			results[i].Err = e.validateNew(n)
		}
	}
	for i := range results {
		if t := e.TopicsByID[c.IDs[i]]; t != nil {
			results[i] = e.created(t)
		} else if results[i].Err == nil {
			results[i] = e.createTopic(&c.Topics[i], c.IDs[i])
		}
	}
	return results, nil
}

// partitions counts what the request asks for.
func (c *createTopics) partitions(e *edit) int {
	total := 0
	for _, t := range c.Topics {
		switch {
		case len(t.Assignment) > 0:
			total += len(t.Assignment)
		case t.Partitions == -1:
			total += e.intConfig(numPartitionsConfig)
		default:
			total += max(0, int(t.Partitions))
		}
	}
	return total
}

// createTopic creates one topic whose name and configs have been checked.
func (e *edit) createTopic(n *NewTopic, id log.TopicID) CreateTopicResult {
	partitions, err := e.newPartitions(n)
	if err != nil {
		return CreateTopicResult{Name: n.Name, Err: err}
	}
	t := &Topic{ID: id, Name: n.Name, Partitions: partitions, Configs: maps.Clone(n.Configs)}
	e.setTopic(t)
	e.ownPartitions[id] = true
	return e.created(t)
}

// created is the answer for a topic that is there. An image will carry it.
func (e *edit) created(t *Topic) CreateTopicResult {
	e.changed = true
	return CreateTopicResult{
		Name: t.Name, ID: t.ID, Configs: t.Configs, Index: e.Index,
		Partitions: int32(len(t.Partitions)), ReplicationFactor: int16(len(t.Partitions[0].Replicas)),
	}
}

// validateNew checks a new topic's name and configs.
func (e *edit) validateNew(n *NewTopic) error {
	if n.Name == metadataTopic {
		return fail(ErrInvalidRequest, "Creation of internal topic %s is prohibited.", metadataTopic)
	}
	if err := ValidateTopicName(n.Name); err != nil {
		return err
	}
	if e.Topics[n.Name] != nil {
		return fail(ErrTopicExists, "Topic '%s' already exists.", n.Name)
	}
	if other := e.colliding(n.Name); other != "" {
		return fail(ErrInvalidTopic, "Topic '%s' collides with existing topic: %s", n.Name, other)
	}
	return e.validTopicConfigs(n.Configs)
}

// newPartitions assigns replicas to a new topic.
func (e *edit) newPartitions(n *NewTopic) ([]*Partition, error) {
	if len(n.Assignment) > 0 {
		return e.assignedPartitions(n)
	}
	switch {
	case n.ReplicationFactor < -1 || n.ReplicationFactor == 0:
		return nil, fail(ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	case n.Partitions < -1 || n.Partitions == 0:
		return nil, fail(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	count, rf := int(n.Partitions), int(n.ReplicationFactor)
	if count == -1 {
		count = e.intConfig(numPartitionsConfig)
	}
	if rf == -1 {
		rf = e.intConfig(defaultRFConfig)
	}
	return e.placedPartitions(n.Name, count, rf)
}

// assignedPartitions takes the replicas the request names.
func (e *edit) assignedPartitions(n *NewTopic) ([]*Partition, error) {
	switch {
	case n.ReplicationFactor != -1:
		return nil, fail(ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	case n.Partitions != -1:
		return nil, fail(ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	case n.DuplicatePartitions:
		return nil, fail(ErrInvalidAssignment, "Found multiple manual partition assignments for one partition")
	}
	var partitions []*Partition
	for i := range int32(len(n.Assignment)) {
		replicas, ok := n.Assignment[i]
		if !ok {
			return nil, fail(ErrInvalidAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		rf := -1
		if i > 0 {
			rf = len(partitions[0].Replicas)
		}
		p, err := e.assignedPartition(i, replicas, rf)
		if err != nil {
			return nil, err
		}
		partitions = append(partitions, p)
	}
	return partitions, nil
}

// assignedPartition is a new partition on the named replicas.
func (e *edit) assignedPartition(i int32, replicas []int32, rf int) (*Partition, error) {
	if err := e.validAssignment(replicas, rf); err != nil {
		return nil, err
	}
	p := e.newPartition(replicas)
	if p == nil {
		return nil, fail(ErrInvalidAssignment, "All brokers specified in the manual partition assignment for "+
			"partition %d are fenced or in controlled shutdown.", i)
	}
	return p, nil
}

// newPartition is a partition at its beginning: every active replica is in the
// ISR, and the first of them leads. nil when none is active
// (RCM.buildPartitionRegistration).
func (e *edit) newPartition(replicas []int32) *Partition {
	p := &Partition{Replicas: replicas}
	for _, r := range replicas {
		if e.active(r) && !e.Offline[r].All {
			p.ISR = append(p.ISR, r)
		}
	}
	if len(p.ISR) == 0 {
		return nil
	}
	p.Leader = p.ISR[0]
	return p
}

// apply deletes topics (ControllerApis.deleteTopics).
func (c *DeleteTopics) apply(e *edit) (any, error) {
	if strings.EqualFold(e.static(deleteTopicConfig), "false") {
		return nil, fail(ErrTopicDeletionDisabled, "Topic deletion is disabled.")
	}
	results := make([]TopicResult, len(c.Topics))
	asked := map[TopicRef]int{}
	for _, r := range c.Topics {
		asked[r]++
		if t := e.Topics[r.Name]; t != nil {
			asked[TopicRef{ID: t.ID}]++
		}
	}
	found := make([]*Topic, len(c.Topics))
	for i, r := range c.Topics {
		results[i] = TopicResult{Name: r.Name, ID: r.ID}
		found[i], results[i].Err = e.find(r)
		if asked[r] > 1 || (found[i] != nil && asked[TopicRef{ID: found[i].ID}] > 1) {
			results[i].Err = fail(ErrInvalidRequest, "Duplicate topic name or id.")
		}
	}
	for i, t := range found {
		if results[i].Err == nil {
			e.removeTopic(t)
			results[i] = TopicResult{Name: t.Name, ID: t.ID, Index: e.Index}
		}
	}
	return results, nil
}

// find finds the topic a request means.
func (m *Image) find(r TopicRef) (*Topic, error) {
	byID := r.ID != log.TopicID{}
	switch {
	case r.Name != "" && byID:
		return nil, fail(ErrInvalidRequest, "You may not specify both topic name and topic id.")
	case r.Name == "" && !byID:
		return nil, fail(ErrInvalidRequest, "Neither topic name nor id were specified.")
	case byID && m.TopicsByID[r.ID] == nil:
		return nil, fail(ErrUnknownTopicID, "This server does not host this topic ID.")
	case byID:
		return m.TopicsByID[r.ID], nil
	case m.Topics[r.Name] == nil:
		return nil, fail(ErrUnknownTopicOrPartition, "This server does not host this topic-partition.")
	}
	return m.Topics[r.Name], nil
}
