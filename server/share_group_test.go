package server_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareConsumer returns franz-go's consumer of a share group, g, that begins at the
// beginning.
func (c *cluster) shareConsumer() *kgo.Client {
	c.t.Helper()
	c.groupConfig("g", "share.auto.offset.reset", "earliest")
	return c.kgo(kgo.ShareGroup("g"), kgo.ConsumeTopics("t"), kgo.FetchMaxWait(500*time.Millisecond))
}

// groupConfig sets a config of a group.
func (c *cluster) groupConfig(group, name, value string) {
	c.t.Helper()
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	cfg := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	cfg.Name, cfg.Value = name, &value
	res.Configs = append(res.Configs, cfg)
	q.Resources = append(q.Resources, res)
	resp, err := q.RequestWith(c.ctx(), c.kgo())
	if err != nil {
		c.t.Fatal(err)
	}
	if code := resp.Resources[0].ErrorCode; code != 0 {
		c.t.Fatalf("%s=%s of %s: %v", name, value, group, kerr.ErrorForCode(code))
	}
}

// sets notes which records were delivered how often.
type deliveries struct {
	mu sync.Mutex
	n  map[string]int
}

func (d *deliveries) add(r *kgo.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.n == nil {
		d.n = map[string]int{}
	}
	d.n[string(r.Value)]++
}

func (d *deliveries) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.n)
}

// consume polls until ctx ends, and hands records to f.
func consume(ctx context.Context, cl *kgo.Client, f func(*kgo.Record)) {
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(f)
	}
}

func TestShareGroupOfFranz(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 3, nil)
	c.createTopic("t", 3, 3, nil)
	c.produceMany(3, 300)
	var seen deliveries
	ctx, cancel := context.WithCancel(c.ctx())
	defer cancel()
	var all sync.WaitGroup
	for range 4 {
		cl := c.shareConsumer()
		all.Go(func() {
			consume(ctx, cl, func(r *kgo.Record) {
				seen.add(r)
				r.Ack(kgo.AckAccept)
			})
		})
	}
	c.eventually("all records are delivered", func() bool { return seen.len() == 300 })
	adm := kadm.NewClient(c.kgo())
	c.eventually("all are acknowledged", func() bool { return c.shareLag() == 0 })
	cancel()
	all.Wait()
	for v, n := range seen.n {
		if n != 1 {
			t.Errorf("%s was delivered %d times", v, n)
		}
	}
	groups, err := adm.ListGroups(c.ctx())
	if err != nil || groups["g"].ProtocolType != "share" {
		t.Fatalf("groups: %+v, %v", groups, err)
	}
}

// produceMany produces n different records over partitions of t.
func (c *cluster) produceMany(partitions int32, n int) {
	c.t.Helper()
	cl := c.kgo(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Partition: int32(i) % partitions, Value: fmt.Append(nil, i)})
	}
	if err := cl.ProduceSync(c.ctx(), rs...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// shareLag is how many records a group has not done with; -1 if that is not known.
func (c *cluster) shareLag() int64 {
	c.t.Helper()
	q := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
	g.GroupID = "g"
	q.Groups = append(q.Groups, g)
	resp, err := q.RequestWith(c.ctx(), c.kgo())
	if err != nil || resp.Groups[0].ErrorCode != 0 || len(resp.Groups[0].Topics) == 0 {
		return -1
	}
	lag := int64(0)
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if p.Lag < 0 {
				return -1
			}
			lag += p.Lag
		}
	}
	return lag
}

func TestShareGroupReleasesAndRejects(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 1, map[string]string{"group.share.delivery.count.limit": "3"})
	c.createTopic("t", 1, 1, nil)
	c.produceMany(1, 12)
	cl := c.shareConsumer()
	var seen deliveries
	ctx, cancel := context.WithCancel(c.ctx())
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		consume(ctx, cl, func(r *kgo.Record) {
			seen.add(r)
			switch r.Offset % 3 {
			case 0:
				r.Ack(kgo.AckAccept)
			case 1:
				r.Ack(kgo.AckReject)
			case 2:
				r.Ack(kgo.AckRelease)
			}
		})
	})
	c.eventually("nothing is left", func() bool { return c.shareLag() == 0 })
	cancel()
	all.Wait()
	for i := range 12 {
		want := 1
		if i%3 == 2 {
			want = 3
		}
		if n := seen.n[fmt.Sprint(i)]; n != want {
			t.Errorf("record %d was delivered %d times, want %d", i, n, want)
		}
	}
}

func TestShareGroupSurvivesCrashes(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"leader", "share coordinator", "group coordinator"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			c := shareCluster(t, 3, nil)
			c.createTopic("t", 1, 3, nil)
			c.produceMany(1, 50)
			var done deliveries
			ctx, cancel := context.WithCancel(c.ctx())
			defer cancel()
			cl := c.shareConsumer()
			half := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				consume(ctx, cl, func(r *kgo.Record) {
					done.add(r)
					r.Ack(kgo.AckAccept)
					if done.len() == 50 {
						select {
						case <-half:
						default:
							close(half)
						}
					}
				})
			})
			select {
			case <-half:
			case <-time.After(waitLimit):
				t.Fatalf("%d records were delivered", done.len())
			}
			c.eventually("the first half is acknowledged", func() bool { return c.shareLag() == 0 })
			id := c.leader("t", 0)
			switch victim {
			case "share coordinator":
				id = c.anyImage().Topics["__share_group_state"].Partitions[0].Leader
			case "group coordinator":
				id = c.anyImage().Topics["__consumer_offsets"].Partitions[0].Leader
			}
			c.inSync("t", 0, 3)
			c.crash(id)
			c.produceNumbers("t", 50, 100)
			c.eventually("all records are delivered", func() bool { return done.len() == 100 })
			c.eventually("all are acknowledged", func() bool { return c.shareLag() == 0 })
			cancel()
			all.Wait()
			for i := range 50 {
				if done.n[fmt.Sprint(i)] > 1 {
					t.Errorf("record %d, which was acknowledged, was delivered again", i)
				}
			}
		})
	}
}

func (c *cluster) produceNumbers(topic string, from, to int) {
	c.t.Helper()
	cl := c.kgo(kgo.DefaultProduceTopic(topic))
	for i := from; i < to; i++ {
		if err := cl.ProduceSync(c.ctx(), &kgo.Record{Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestShareGroupAdmin(t *testing.T) {
	t.Parallel()
	c := shareCluster(t, 1, nil)
	c.createTopic("t", 2, 1, nil)
	c.produceMany(2, 10)
	cl := c.shareConsumer()
	var seen deliveries
	for seen.len() < 10 {
		cl.PollFetches(c.ctx()).EachRecord(func(r *kgo.Record) {
			seen.add(r)
			r.Ack(kgo.AckAccept)
		})
	}
	if err := cl.FlushAcks(c.ctx()); err != nil {
		t.Fatal(err)
	}
	d := kmsg.NewPtrShareGroupDescribeRequest()
	d.GroupIDs, d.IncludeAuthorizedOperations = []string{"g", "none"}, true
	described, err := d.RequestWith(c.ctx(), c.kgo())
	if err != nil {
		t.Fatal(err)
	}
	if g := described.Groups[0]; g.GroupState != "Stable" || len(g.Members) != 1 || len(g.Members[0].Assignment.TopicPartitions[0].Partitions) != 2 {
		t.Fatalf("described: %+v", g)
	}
	if code := described.Groups[1].ErrorCode; code != kerr.GroupIDNotFound.Code {
		t.Fatalf("described nothing: %v", kerr.ErrorForCode(code))
	}
	alter := kmsg.NewPtrAlterShareGroupOffsetsRequest()
	alter.GroupID = "g"
	at := kmsg.NewAlterShareGroupOffsetsRequestTopic()
	at.Topic = "t"
	at.Partitions = []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: 0, StartOffset: 2}, {Partition: 7}}
	alter.Topics = append(alter.Topics, at)
	altered, err := alter.RequestWith(c.ctx(), c.kgo())
	if err != nil || altered.ErrorCode != kerr.NonEmptyGroup.Code {
		t.Fatalf("altered with members: %+v, %v", altered, err)
	}
	cl.Close()
	c.eventually("the group is empty", func() bool {
		altered, err = alter.RequestWith(c.ctx(), c.kgo())
		return err == nil && altered.ErrorCode == 0
	})
	if codes := []int16{altered.Topics[0].Partitions[0].ErrorCode, altered.Topics[0].Partitions[1].ErrorCode}; !slices.Equal(codes, []int16{0, kerr.UnknownTopicOrPartition.Code}) {
		t.Fatalf("altered: %v", codes)
	}
	again := c.shareConsumer()
	var rest deliveries
	c.eventually("what lies behind the new offset is delivered again", func() bool {
		ctx, cancel := context.WithTimeout(c.ctx(), 100*time.Millisecond)
		defer cancel()
		again.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			rest.add(r)
			r.Ack(kgo.AckAccept)
		})
		return rest.len() == 3
	})
	again.Close()
	del := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
	del.GroupID = "g"
	del.Topics = []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: "t"}, {Topic: "none"}}
	var deleted *kmsg.DeleteShareGroupOffsetsResponse
	c.eventually("offsets are deleted", func() bool {
		deleted, err = del.RequestWith(c.ctx(), c.kgo())
		return err == nil && deleted.ErrorCode == 0
	})
	if deleted.Topics[0].ErrorCode != 0 || deleted.Topics[1].ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Fatalf("deleted: %+v", deleted)
	}
	gone := kmsg.NewPtrDeleteGroupsRequest()
	gone.Groups = []string{"g"}
	resp, err := gone.RequestWith(c.ctx(), c.kgo())
	if err != nil || resp.Groups[0].ErrorCode != 0 {
		t.Fatalf("deleted the group: %+v, %v", resp, err)
	}
}
