package faults_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/faults"
)

// code is the error of the faults of these tests.
const code = 87

// produced is a Produce request of version 9 for partitions of two topics.
func produced() *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = 9, -1
	for _, topic := range []string{"orders", "other"} {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = topic
		for p := range int32(2) {
			part := kmsg.NewProduceRequestTopicPartition()
			part.Partition = p
			t.Partitions = append(t.Partitions, part)
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}

// appender answers Produce requests, with an offset, and tells what it was asked
// to do.
func appender(b *faults.Broker, done *[]string) *faults.Broker {
	b.Work = func(body kmsg.Request) (kmsg.Response, error) {
		q := body.(*kmsg.ProduceRequest)
		r := q.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range q.Topics {
			out := kmsg.NewProduceResponseTopic()
			out.Topic = t.Topic
			for _, p := range t.Partitions {
				*done = append(*done, fmt.Sprintf("%s/%d", t.Topic, p.Partition))
				part := kmsg.NewProduceResponseTopicPartition()
				part.Partition, part.BaseOffset = p.Partition, 7
				out.Partitions = append(out.Partitions, part)
			}
			r.Topics = append(r.Topics, out)
		}
		return r, nil
	}
	return b
}

func TestOnlyWhatMatchesFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		faults []faults.Fault
		done   []string
		want   []string // topic/partition:code@offset
	}{
		{
			"a partition",
			[]faults.Fault{{Topic: "orders", Partitions: []int32{1}}},
			[]string{"orders/0", "other/0", "other/1"},
			[]string{"orders/0:0@7", "orders/1:87@-1", "other/0:0@7", "other/1:0@7"},
		},
		{
			"a partition of any topic",
			[]faults.Fault{{Partitions: []int32{1, 5}}},
			[]string{"orders/0", "other/0"},
			[]string{"orders/0:0@7", "orders/1:87@-1", "other/0:0@7", "other/1:87@-1"},
		},
		{
			"a topic, after the work",
			[]faults.Fault{{Topic: "other", Effect: faults.ErrorAfterWork}},
			[]string{"orders/0", "orders/1", "other/0", "other/1"},
			[]string{"orders/0:0@7", "orders/1:0@7", "other/0:87@7", "other/1:87@7"},
		},
		{
			"the first decides, and before and after do not mix",
			[]faults.Fault{
				{Topic: "orders", Code: 5},
				{Partitions: []int32{0}, Effect: faults.ErrorAfterWork},
				{Partitions: []int32{0}},
			},
			[]string{"other/1"},
			[]string{"orders/0:5@-1", "orders/1:5@-1", "other/0:87@-1", "other/1:0@7"},
		},
		{"all", []faults.Fault{{}}, nil, []string{"orders/0:87@-1", "orders/1:87@-1", "other/0:87@-1", "other/1:87@-1"}},
		{"nobody's", []faults.Fault{{Topic: "nobody"}}, []string{"orders/0", "orders/1", "other/0", "other/1"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := faults.NewSet(nil)
			for _, f := range tc.faults {
				if f.Effect == faults.None {
					f.Effect = faults.ErrorBeforeWork
				}
				if f.Code == 0 {
					f.Code = code
				}
				s.Add(f)
			}
			var done, got []string
			q := produced()
			r, _, err := s.Run(&faults.Request{Body: q}, appender(broker(new(int)), &done))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(done, tc.done) {
				t.Errorf("done %v, want %v", done, tc.done)
			}
			for _, topic := range r.(*kmsg.ProduceResponse).Topics {
				for _, p := range topic.Partitions {
					got = append(got, fmt.Sprintf("%s/%d:%d@%d", topic.Topic, p.Partition, p.ErrorCode, p.BaseOffset))
				}
			}
			slices.Sort(got)
			if tc.want != nil && !slices.Equal(got, tc.want) {
				t.Errorf("answered %v, want %v", got, tc.want)
			}
			if len(q.Topics) != 2 || len(q.Topics[0].Partitions) != 2 {
				t.Errorf("the request has been changed: %+v", q)
			}
		})
	}
}

// TestPlaces holds where the error of a fault goes, by what the fault selects.
func TestPlaces(t *testing.T) {
	t.Parallel()
	at := func(f faults.Fault, key kmsg.Key) (top, entries bool) {
		t.Helper()
		s := faults.NewSet(nil)
		f.Effect, f.Code = faults.ErrorBeforeWork, code
		i := s.Add(f)
		q := kmsg.RequestForKey(int16(key))
		version := q.MaxVersion()
		if key == kmsg.AddPartitionsToTxn {
			version = 3
		}
		r, _, err := s.Run(&faults.Request{Body: sent(t, int16(key), version)}, broker(new(int)))
		if err != nil {
			t.Fatal(err)
		}
		if i.Hits() == 0 {
			return false, false
		}
		return codes(t, r)
	}
	topic, group := faults.Fault{Topic: "orders"}, faults.Fault{Group: "g"}
	txn, resource := faults.Fault{TransactionalID: "tx"}, faults.Fault{Resource: "r"}
	whole := faults.Fault{TopLevel: true}
	for _, tc := range []struct {
		key          kmsg.Key
		fault        faults.Fault
		top, entries bool
	}{
		{kmsg.Fetch, faults.Fault{}, false, true},
		{kmsg.Fetch, whole, true, false},
		{kmsg.Fetch, faults.Fault{TopLevel: true, Topic: "orders"}, true, false},
		{kmsg.Fetch, group, false, false},
		{kmsg.Metadata, topic, false, true},
		{kmsg.Metadata, whole, true, false},
		{kmsg.OffsetCommit, group, false, true},
		{kmsg.OffsetCommit, faults.Fault{Group: "other"}, false, false},
		{kmsg.OffsetCommit, faults.Fault{Group: "g", Partitions: []int32{0}}, false, true},
		{kmsg.OffsetFetch, group, false, true},
		{kmsg.OffsetFetch, topic, false, true},
		{kmsg.OffsetDelete, group, true, false},
		{kmsg.OffsetDelete, topic, false, true},
		{kmsg.FindCoordinator, group, false, true},
		{kmsg.FindCoordinator, txn, false, false},
		{kmsg.JoinGroup, group, true, false},
		{kmsg.Heartbeat, topic, false, false},
		{kmsg.LeaveGroup, group, true, false},
		{kmsg.LeaveGroup, resource, false, true},
		{kmsg.DescribeGroups, group, false, true},
		{kmsg.CreateTopics, topic, false, true},
		{kmsg.DeleteTopics, faults.Fault{TopicID: topicID()}, false, true},
		{kmsg.InitProducerID, txn, true, false},
		{kmsg.AddPartitionsToTxn, txn, false, true},
		{kmsg.TxnOffsetCommit, faults.Fault{TransactionalID: "tx", Group: "g", Topic: "orders"}, false, true},
		{kmsg.EndTxn, txn, true, false},
		{kmsg.DescribeTransactions, txn, false, true},
		{kmsg.DescribeConfigs, resource, false, true},
		{kmsg.ListPartitionReassignments, topic, true, false},
		{kmsg.DescribeLogDirs, topic, true, false},
		{kmsg.UpdateFeatures, resource, true, false},
		{kmsg.ElectLeaders, faults.Fault{}, true, true},
		{kmsg.ElectLeaders, topic, false, true},
		{kmsg.CreateACLs, resource, false, true},
		{kmsg.AlterClientQuotas, resource, false, true},
		{kmsg.AlterUserSCRAMCredentials, resource, false, true},
		{kmsg.AlterReplicaLogDirs, topic, false, true},
		{kmsg.DescribeShareGroupOffsets, topic, false, true},
		{kmsg.ShareFetch, group, false, true},
	} {
		if top, entries := at(tc.fault, tc.key); top != tc.top || entries != tc.entries {
			t.Errorf("%s with %+v: for the whole request %v, want %v; in entries %v, want %v",
				tc.key.Name(), tc.fault, top, tc.top, entries, tc.entries)
		}
	}
}

// Entries without a name are found by their place.
func TestPlacesInOrder(t *testing.T) {
	t.Parallel()
	s := faults.NewSet(nil)
	s.Add(faults.Fault{Resource: "b", Effect: faults.ErrorBeforeWork, Code: code})
	q := kmsg.NewPtrCreateACLsRequest()
	for _, name := range []string{"a", "b", "c"} {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceName = name
		q.Creations = append(q.Creations, c)
	}
	b := broker(new(int))
	b.Work = func(body kmsg.Request) (kmsg.Response, error) {
		r := body.ResponseKind().(*kmsg.CreateACLsResponse)
		for i := range body.(*kmsg.CreateACLsRequest).Creations {
			r.Results = append(r.Results, kmsg.CreateACLsResponseResult{ErrorCode: int16(i + 1)})
		}
		return r, nil
	}
	r, _, err := s.Run(&faults.Request{Body: q}, b)
	if err != nil {
		t.Fatal(err)
	}
	var got []int16
	for _, result := range r.(*kmsg.CreateACLsResponse).Results {
		got = append(got, result.ErrorCode)
	}
	if !slices.Equal(got, []int16{1, code, 2}) {
		t.Errorf("%v", got)
	}
}

// What a request leaves out because it means all is looked for in the answer.
func TestAllTopics(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault faults.Fault
		want  string
	}{
		"a topic":         {faults.Fault{Topic: "orders"}, "orders:5 [] other:0 [0 0] "},
		"a partition":     {faults.Fault{Topic: "orders", Partitions: []int32{1}}, "orders:0 [0 5] other:0 [0 0] "},
		"everything":      {faults.Fault{}, "orders:5 [] other:5 [] "},
		"an unknown one":  {faults.Fault{Topic: "nobody"}, "orders:0 [0 0] other:0 [0 0] "},
		"of another kind": {faults.Fault{Topic: "orders", Group: "g"}, "orders:0 [0 0] other:0 [0 0] "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := kmsg.NewPtrMetadataRequest()
			q.Version = 12
			b := broker(new(int))
			b.Work = func(kmsg.Request) (kmsg.Response, error) {
				r := q.ResponseKind().(*kmsg.MetadataResponse)
				for _, topic := range []string{"orders", "other"} {
					m := kmsg.MetadataResponseTopic{Topic: &topic}
					for p := range int32(2) {
						m.Partitions = append(m.Partitions, kmsg.MetadataResponseTopicPartition{Partition: p, Leader: 3, ISR: []int32{3}})
					}
					r.Topics = append(r.Topics, m)
				}
				return r, nil
			}
			s := faults.NewSet(nil)
			f := tc.fault
			f.Effect, f.Code = faults.ErrorBeforeWork, kerr.LeaderNotAvailable.Code
			i := s.Add(f)
			r, _, err := s.Run(&faults.Request{Body: q}, b)
			if err != nil {
				t.Fatal(err)
			}
			got, failed := "", 0
			for _, topic := range r.(*kmsg.MetadataResponse).Topics {
				var parts []int16
				for _, p := range topic.Partitions {
					parts = append(parts, p.ErrorCode)
					if p.ErrorCode != 0 && (p.Leader != -1 || len(p.ISR) != 1) {
						t.Errorf("%+v", p)
					}
				}
				got += fmt.Sprintf("%s:%d %v ", *topic.Topic, topic.ErrorCode, parts)
				if topic.ErrorCode != 0 || slices.Contains(parts, 5) {
					failed = 1
				}
			}
			if got != tc.want || i.Hits() != failed {
				t.Errorf("%s, %d hits, want %s", got, i.Hits(), tc.want)
			}
		})
	}
}

func TestWhichOfThose(t *testing.T) {
	t.Parallel()
	run := func(n int, f faults.Fault) string {
		s := faults.NewSet(nil)
		f.Effect, f.Code = faults.ErrorBeforeWork, code
		s.Add(f)
		out := ""
		for range n {
			var done []string
			q := produced()
			if _, _, err := s.Run(&faults.Request{Node: 1, ClientID: "me", Body: q}, appender(broker(new(int)), &done)); err != nil {
				t.Fatal(err)
			}
			if len(done) == 0 {
				out += "x"
			} else {
				out += "."
			}
		}
		return out
	}
	for _, tc := range []struct {
		fault faults.Fault
		want  string
	}{
		{faults.Fault{}, "x....."},
		{faults.Fault{Skip: 2}, "..x..."},
		{faults.Fault{Skip: 1, Count: 3}, ".xxx.."},
		{faults.Fault{Count: faults.Always}, "xxxxxx"},
		{faults.Fault{Nodes: []int32{1}}, "x....."},
		{faults.Fault{Nodes: []int32{2}}, "......"},
		{faults.Fault{ClientID: "me"}, "x....."},
		{faults.Fault{ClientID: "you"}, "......"},
		{faults.Fault{Keys: []int16{1}}, "......"},
		{faults.Fault{Match: func(q kmsg.Request) bool { return len(q.(*kmsg.ProduceRequest).Topics) == 1 }}, "......"},
	} {
		if got := run(6, tc.fault); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.fault, got, tc.want)
		}
	}
	half := faults.Fault{Count: faults.Always, Probability: 0.5, Seed: 3}
	first, again := run(100, half), run(100, half)
	half.Seed++
	if other := run(100, half); first != again || first == other || !slices.Contains([]byte(first), 'x') || !slices.Contains([]byte(first), '.') {
		t.Errorf("seeds: %s, %s, %s", first, again, other)
	}
}

func TestConnectionEffects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		effect          faults.Effect
		acks            int16
		done, cut, ends bool
	}{
		{faults.CloseBeforeWork, -1, false, false, true},
		{faults.LoseAnswer, -1, true, false, true},
		{faults.CutAnswer, -1, true, true, false},
		{faults.None, -1, true, false, false},
		{faults.ErrorBeforeWork, 0, false, false, true},
		{faults.ErrorAfterWork, 0, true, false, true},
	} {
		s := faults.NewSet(nil)
		s.Add(faults.Fault{Effect: tc.effect, Code: code, DelayRequest: time.Second, DelayAnswer: time.Minute})
		var done []string
		b := appender(broker(new(int)), &done)
		var waited time.Duration
		b.Wait = func(d time.Duration, _ <-chan struct{}, answer bool) error {
			waited += d
			if answer != (d == time.Minute) {
				t.Error("request and answer are mixed up")
			}
			return nil
		}
		q := produced()
		q.Acks = tc.acks
		r, cut, err := s.Run(&faults.Request{Body: q}, b)
		if (len(done) > 0) != tc.done || cut != tc.cut || errors.Is(err, faults.ErrClosed) != tc.ends || (r == nil) != tc.ends {
			t.Errorf("%s, acks %d: done %v, cut %v, error %v, answer %v", tc.effect, tc.acks, done, cut, err, r)
		}
		if !tc.ends && waited != time.Minute+time.Second {
			t.Errorf("%s: waited %v", tc.effect, waited)
		}
	}
}

func TestHandle(t *testing.T) {
	t.Parallel()
	run := func(handle func(*faults.Request) (kmsg.Response, error)) (kmsg.Response, []string, error) {
		s := faults.NewSet(nil)
		s.Add(faults.Fault{Effect: faults.Handle, Handle: handle})
		var done []string
		r, _, err := s.Run(&faults.Request{Context: context.Background(), Node: 3, Body: produced()}, appender(broker(new(int)), &done))
		return r, done, err
	}
	r, done, err := run(func(q *faults.Request) (kmsg.Response, error) {
		body := *q.Body.(*kmsg.ProduceRequest)
		body.Topics = body.Topics[:1]
		q.Body = &body
		r, err := q.Work()
		r.(*kmsg.ProduceResponse).ThrottleMillis = q.Node
		return r, err
	})
	if p := r.(*kmsg.ProduceResponse); err != nil || p.ThrottleMillis != 3 || len(done) != 2 {
		t.Errorf("%+v, done %v, %v", r, done, err)
	}
	if r, done, err = run(func(*faults.Request) (kmsg.Response, error) { return nil, nil }); r != nil || done != nil || err != nil {
		t.Errorf("no answer: %v, done %v, %v", r, done, err)
	}
	own := errors.New("mine")
	if _, _, err = run(func(*faults.Request) (kmsg.Response, error) { return nil, own }); !errors.Is(err, own) || !errors.Is(err, faults.ErrClosed) {
		t.Errorf("an error: %v", err)
	}
	if _, _, err = run(func(*faults.Request) (kmsg.Response, error) { return kmsg.NewPtrFetchResponse(), nil }); !errors.Is(err, faults.ErrClosed) {
		t.Errorf("another request's answer: %v", err)
	}
}

// A function's Work meets the faults that were set after it.
func TestHandlesNest(t *testing.T) {
	t.Parallel()
	s := faults.NewSet(nil)
	order := ""
	for _, name := range []string{"a", "b"} {
		s.Add(faults.Fault{Effect: faults.Handle, Handle: func(q *faults.Request) (kmsg.Response, error) {
			order += name
			r, err := q.Work()
			order += name
			return r, err
		}})
	}
	s.Add(faults.Fault{Topic: "orders", Effect: faults.ErrorBeforeWork, Code: code})
	s.Add(faults.Fault{Effect: faults.CutAnswer})
	var done []string
	r, cut, err := s.Run(&faults.Request{Body: produced()}, appender(broker(new(int)), &done))
	if err != nil || !cut || order != "abba" || len(done) != 2 || len(r.(*kmsg.ProduceResponse).Topics) != 2 {
		t.Errorf("%v, cut %v, %s, done %v, %+v", err, cut, order, done, r)
	}
	if s.Any() {
		t.Error("not all faults were asked")
	}
}
