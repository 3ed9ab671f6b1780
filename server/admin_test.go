package server

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/log"
)

// adminFake is a broker of id 1 whose controller answers as the test says.
type adminFake struct {
	*adminAPI
	asked   []election.Command
	settled [][]string
}

func newAdminFake(answer func(election.Command) (any, error)) *adminFake {
	f := &adminFake{}
	image := &election.Image{
		Brokers:        map[int32]*election.Broker{1: {ID: 1}, 2: {ID: 2}, 3: {ID: 3, Fenced: true}},
		Topics:         map[string]*election.Topic{},
		TopicsByID:     map[log.TopicID]*election.Topic{},
		ClusterConfigs: map[string]string{"min.insync.replicas": "1"},
	}
	for i, name := range []string{"a", "b", "c"} {
		t := &election.Topic{Name: name, ID: log.TopicID{byte(i + 1)}}
		for range 3 {
			t.Partitions = append(t.Partitions, &election.Partition{
				Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2}, ELR: []int32{3}, Leader: 1, LeaderEpoch: 4,
			})
		}
		image.Topics[name], image.TopicsByID[t.ID] = t, t
	}
	f.adminAPI = &adminAPI{
		broker: 1,
		image:  func() *election.Image { return image },
		do: func(_ context.Context, c election.Command) (any, error) {
			f.asked = append(f.asked, c)
			return answer(c)
		},
		settle:  func(_ context.Context, topics []string) { f.settled = append(f.settled, topics) },
		static:  map[string]string{"node.id": "1"},
		loggers: &loggers{},
	}
	return f
}

func noController(election.Command) (any, error) { return nil, election.ErrTimedOut }

// code writes an error as the tests compare it: code and message.
func code(c int16, message *string) string {
	if message == nil {
		return fmt.Sprint(c)
	}
	return fmt.Sprint(c, " ", *message)
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	g, w := strings.Join(got, "\n"), strings.Join(want, "\n")
	if g != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, g, w)
	}
}

// createAnswer creates every topic but the one named refused.
func createAnswer(c election.Command) (any, error) {
	var results []election.CreateTopicResult
	for _, n := range c.(*election.CreateTopics).Topics {
		r := election.CreateTopicResult{
			Name: n.Name, ID: log.TopicID{9}, Partitions: 2, ReplicationFactor: 3,
			Configs: n.Configs, Index: 17,
		}
		if n.Name == "refused" {
			r = election.CreateTopicResult{Name: n.Name, Err: &election.Error{Err: election.ErrInvalidPartitions, Message: "why"}}
		}
		results = append(results, r)
	}
	return results, nil
}

func createRequest(names ...string) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, 1000
	for _, name := range names {
		n := kmsg.NewCreateTopicsRequestTopic()
		n.Topic = name
		req.Topics = append(req.Topics, n)
	}
	return req
}

func TestCreateTopicsRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(createAnswer)
	req := createRequest("twice", "new", "__cluster_metadata", "refused", "twice", "x", "a", "?")
	for i := range req.Topics {
		switch req.Topics[i].Topic {
		case "x", "a", "?":
			req.Topics[i].Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms"}}
		}
	}
	var got []string
	for _, r := range f.createTopics(t.Context(), req).Topics {
		got = append(got, r.Topic+" "+code(r.ErrorCode, r.ErrorMessage))
	}
	compare(t, "answers", got, []string{
		"new 0",
		"refused 37 why",
		"x 40 Null value not supported for topic configs: retention.ms",
		"a 36 Topic 'a' already exists.",
		"? 17 Topic name is invalid: '?' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
		"twice 42 Duplicate topic name.",
		"__cluster_metadata 42 Creation of internal topic __cluster_metadata is prohibited.",
	})
	if fmt.Sprint(f.settled) != "[[new]]" {
		t.Errorf("waited for %+v", f.settled)
	}
}

func TestCreateTopicsTellsConfigs(t *testing.T) {
	t.Parallel()
	f := newAdminFake(createAnswer)
	f.image().BrokerConfigs = map[int32]map[string]string{1: {"log.segment.bytes": "1048577"}} // not the controller's
	req := createRequest("new", "refused")
	req.Topics[0].Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: kmsg.StringPtr("5")}}
	resp := f.createTopics(t.Context(), req)
	made := resp.Topics[0]
	if made.NumPartitions != 2 || made.ReplicationFactor != 3 || made.TopicID != [16]byte{9} {
		t.Errorf("the created topic is answered as %+v", made)
	}
	sources := map[string]int8{}
	for _, c := range made.Configs {
		sources[c.Name] = c.Source
	}
	if len(sources) != 37 || sources["retention.ms"] != 1 || sources["min.insync.replicas"] != 3 || sources["segment.bytes"] != 5 {
		t.Errorf("config sources %v", sources)
	}
	if refused := resp.Topics[1]; refused.NumPartitions != -1 || refused.ReplicationFactor != -1 || refused.Configs == nil {
		t.Errorf("a refused topic is answered as %+v", refused)
	}
}

func TestCreateTopicsValidateOnlyDoesNotWait(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(election.Command) (any, error) { return []election.CreateTopicResult{{Name: "new"}}, nil })
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly = true
	req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "new"}}
	f.createTopics(t.Context(), req)
	if !f.asked[0].(*election.CreateTopics).ValidateOnly || len(f.settled) > 0 {
		t.Errorf("asked %+v, waited for %+v", f.asked, f.settled)
	}
}

func TestCreateTopicsWithoutController(t *testing.T) {
	t.Parallel()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "new"}}
	if got := newAdminFake(noController).createTopics(t.Context(), req).Topics[0].ErrorCode; got != 7 {
		t.Errorf("code %d, want REQUEST_TIMED_OUT", got)
	}
}

func TestDeleteTopicsRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		var results []election.TopicResult
		for _, r := range c.(*election.DeleteTopics).Topics {
			switch {
			case r.Name == "a" || r.ID == log.TopicID{2}:
				results = append(results, election.TopicResult{Name: r.Name + "!", ID: log.TopicID{2}, Index: 5})
			case r.Name != "":
				results = append(results, election.TopicResult{Name: r.Name, Err: election.ErrUnknownTopicOrPartition})
			default:
				results = append(results, election.TopicResult{ID: r.ID, Err: election.ErrUnknownTopicID})
			}
		}
		return results, nil
	})
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version = 6
	add := func(name string, id byte) {
		d := kmsg.NewDeleteTopicsRequestTopic()
		if name != "" {
			d.Topic = &name
		}
		d.TopicID = [16]byte{id}
		req.Topics = append(req.Topics, d)
	}
	add("a", 0)
	add("", 2)
	add("nope", 0)
	add("", 7)
	add("", 0)
	add("b", 2)
	req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: new(string)})
	add("c", 0)
	add("c", 0)
	add("", 3)
	add("", 3)
	resp := f.deleteTopics(t.Context(), req)
	var got []string
	for _, r := range resp.Topics {
		name := "-"
		if r.Topic != nil {
			name = *r.Topic
		}
		got = append(got, fmt.Sprint(name, " ", r.TopicID[0], " ", code(r.ErrorCode, r.ErrorMessage)))
	}
	compare(t, "answers", got, []string{
		"a! 2 0",
		"! 2 0",
		"nope 0 3 This server does not host this topic-partition.",
		"- 7 100 This server does not host this topic ID.",
		"- 0 42 Neither topic name nor id were specified.",
		"b 2 42 You may not specify both topic name and topic id.",
		" 0 3 This server does not host this topic-partition.",
		"c 0 42 Duplicate topic name.",
		"- 3 42 Duplicate topic id.",
	})
}

func TestDeleteTopicsDisabled(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(election.Command) (any, error) { return nil, election.ErrTopicDeletionDisabled })
	for version, want := range map[int16]int16{1: 42, 2: 42, 3: 73, 5: 73} {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = version
		req.TopicNames = []string{"a"}
		if got := f.deleteTopics(t.Context(), req).Topics[0].ErrorCode; got != want {
			t.Errorf("v%d: code %d, want %d", version, got, want)
		}
	}
}

func TestCreatePartitionsRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		p := c.(*election.CreatePartitions)
		if p.Topics[0].Assignment != nil || p.Topics[1].Assignment == nil {
			t.Errorf("an absent and an empty assignment are not the same: %+v", p.Topics)
		}
		return []election.TopicResult{{Name: "a", Index: 3}, {Name: "b", Err: election.ErrUnknownTopicOrPartition}}, nil
	})
	req := kmsg.NewPtrCreatePartitionsRequest()
	for _, name := range []string{"c", "a", "b", "c"} {
		p := kmsg.NewCreatePartitionsRequestTopic()
		p.Topic, p.Count = name, 9
		if name == "b" {
			p.Assignment = []kmsg.CreatePartitionsRequestTopicAssignment{}
		}
		req.Topics = append(req.Topics, p)
	}
	var got []string
	for _, r := range f.createPartitions(t.Context(), req).Topics {
		got = append(got, r.Topic+" "+code(r.ErrorCode, r.ErrorMessage))
	}
	compare(t, "answers", got, []string{"c 42 Duplicate topic name.", "a 0", "b 3"})
}

func TestElectLeadersRequest(t *testing.T) {
	t.Parallel()
	f := newAdminFake(func(c election.Command) (any, error) {
		e := c.(*election.ElectLeaders)
		if e.Partitions == nil {
			return []election.ElectResult{{PartitionRef: election.PartitionRef{Topic: "b", Partition: 1}}}, nil
		}
		var results []election.ElectResult
		for _, p := range e.Partitions {
			results = append(results, election.ElectResult{PartitionRef: p, Err: election.ErrElectionNotNeeded})
		}
		return results, nil
	})
	show := func(resp *kmsg.ElectLeadersResponse) []string {
		got := []string{fmt.Sprint(resp.ErrorCode)}
		for _, topic := range resp.Topics {
			got = append(got, topic.Topic)
			for _, p := range topic.Partitions {
				got = append(got, fmt.Sprint(p.Partition, " ", code(p.ErrorCode, p.ErrorMessage)))
			}
		}
		return got
	}
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	compare(t, "all partitions", show(f.electLeaders(t.Context(), req)), []string{"0", "a", "b", "1 0", "c"})
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "b", Partitions: []int32{2}}, {Topic: "a", Partitions: []int32{1, 0}}}
	compare(t, "named partitions", show(f.electLeaders(t.Context(), req)), []string{
		"0",
		"b", "2 84 Leader election not needed for topic partition",
		"a", "1 84 Leader election not needed for topic partition", "0 84 Leader election not needed for topic partition",
	})
	req.ElectionType = 2
	compare(t, "an unknown type", show(f.electLeaders(t.Context(), req)), []string{
		"42", "b", "2 42 Unknown election type 2", "a", "1 42 Unknown election type 2", "0 42 Unknown election type 2",
	})
	if len(f.asked) != 2 {
		t.Errorf("the controller was asked %d times", len(f.asked))
	}
}

func TestDescribeTopicPartitionsPages(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	var pages []string
	for req.ResponsePartitionLimit = 4; ; {
		resp := f.describeTopicPartitions(req)
		page := ""
		for _, topic := range resp.Topics {
			page += *topic.Topic
			for _, p := range topic.Partitions {
				page += fmt.Sprint(p.Partition)
			}
			page += " "
		}
		pages = append(pages, page)
		if resp.NextCursor == nil {
			break
		}
		req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: resp.NextCursor.Topic, Partition: resp.NextCursor.Partition}
	}
	compare(t, "pages", pages, []string{"a012 b0 ", "b12 c01 ", "c2 "})

	req.Cursor, req.ResponsePartitionLimit = nil, 3
	page := f.describeTopicPartitions(req)
	if c := page.NextCursor; c == nil || c.Topic != "b" || c.Partition != 0 || len(page.Topics) != 1 {
		t.Errorf("a page that ends with a topic has the cursor %+v and %d topics, want b 0 and one", c, len(page.Topics))
	}
	p := f.describeTopicPartitions(req).Topics[0].Partitions[0]
	if fmt.Sprint(p.LeaderID, p.LeaderEpoch, p.Replicas, p.ISR, p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas) !=
		"1 4 [1 2 3] [1 2] [3] [] [3]" {
		t.Errorf("partition described as %+v", p)
	}
}

func TestDescribeTopicPartitionsNamed(t *testing.T) {
	t.Parallel()
	f := newAdminFake(noController)
	show := func(cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) []string {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit, req.Cursor = 2000, cursor
		for _, n := range names {
			req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: n})
		}
		var got []string
		for _, topic := range f.describeTopicPartitions(req).Topics {
			got = append(got, fmt.Sprint(*topic.Topic, " ", topic.ErrorCode, " ", len(topic.Partitions), " ", topic.AuthorizedOperations))
		}
		return got
	}
	at := func(topic string, p int32) *kmsg.DescribeTopicPartitionsRequestCursor {
		return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: p}
	}
	compare(t, "sorted, once each", show(nil, "b", "zz", "a?", "a", "b"),
		[]string{"a 0 3 3576", "a? 17 0 3576", "b 0 3 3576", "zz 3 0 3576"})
	compare(t, "from a cursor", show(at("b", 1), "a", "b"), []string{"b 0 2 3576"})
	compare(t, "a cursor beyond the partitions", show(at("b", 1<<31-1), "b", "c"), []string{"b 0 0 3576", "c 0 3 3576"})
	compare(t, "a cursor that was not asked for", show(at("b", 1), "a"), []string{"a 42 0 -2147483648"})
	compare(t, "a negative cursor", show(at("b", -1), "b"), []string{"b 42 0 -2147483648"})
}
