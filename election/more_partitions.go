package election

// apply adds partitions (RCM.createPartitions).
func (c *CreatePartitions) apply(e *edit) (any, error) {
	if c.ValidateOnly {
		e = e.fork()
	}
	asked := map[string]int{}
	total := 0
	for _, t := range c.Topics {
		asked[t.Name]++
		total += max(0, int(t.Count))
	}
	results := make([]TopicResult, len(c.Topics))
	for i, t := range c.Topics {
		results[i] = TopicResult{Name: t.Name}
		switch {
		case asked[t.Name] > 1:
			results[i].Err = fail(ErrInvalidRequest, "Duplicate topic name.")
		case total > maxPartitionsPerRequest:
			results[i].Err = fail(ErrPolicyViolation, "Excessively large number of partitions per request.")
		default:
			results[i] = e.addPartitions(&c.Topics[i])
		}
	}
	return results, nil
}

func (e *edit) addPartitions(m *MorePartitions) TopicResult {
	r := TopicResult{Name: m.Name}
	t := e.Topics[m.Name]
	if t == nil {
		r.Err = fail(ErrUnknownTopicOrPartition, "This server does not host this topic-partition.")
		return r
	}
	r.ID = t.ID
	now := len(t.Partitions)
	added, err := e.morePartitions(t, m, int(m.Count)-now)
	if err != nil {
		r.Err = err
		return r
	}
	for i, p := range added {
		e.setPartition(t.ID, now+i, p)
	}
	r.Index = e.Index
	return r
}

func (e *edit) morePartitions(t *Topic, m *MorePartitions, add int) ([]*Partition, error) {
	now := len(t.Partitions)
	switch {
	case add == 0:
		return nil, fail(ErrInvalidPartitions, "Topic already has %d partition(s).", now)
	case add < 0:
		return nil, fail(ErrInvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.",
			m.Name, now, m.Count)
	case m.Assignment != nil && len(m.Assignment) != add:
		return nil, fail(ErrInvalidAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
			add, len(m.Assignment))
	}
	rf := len(t.Partitions[0].Replicas)
	if m.Assignment == nil {
		return e.placedPartitions(t.Name, add, rf)
	}
	var added []*Partition
	for i, replicas := range m.Assignment {
		p, err := e.assignedPartition(int32(now+i), replicas, rf)
		if err != nil {
			return nil, err
		}
		added = append(added, p)
	}
	return added, nil
}
