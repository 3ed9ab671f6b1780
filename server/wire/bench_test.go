package wire_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/server/wire"
)

// BenchmarkScan compares the walk with the decoding that follows it.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct {
		name string
		req  kmsg.Request
	}{
		{"ProduceOne", produceRequest(1)},
		{"ProduceMany", produceRequest(100)},
		{"FetchOne", fetchRequest(1)},
		{"FetchMany", fetchRequest(100)},
		{"FetchSession", fetchRequest(0)},
		{"Heartbeat", heartbeatRequest()},
	} {
		body := c.req.AppendTo(nil)
		key, version := c.req.Key(), c.req.GetVersion()
		b.Run(c.name+"/scan", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := wire.Scan(key, version, body); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := newRequest(key, version).ReadFrom(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func produceRequest(partitions int) kmsg.Request {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 13
	topic := kmsg.NewProduceRequestTopic()
	for i := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition = int32(i)
		p.Records = make([]byte, 1000)
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

func fetchRequest(partitions int) kmsg.Request {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 18
	if partitions == 0 {
		return req
	}
	topic := kmsg.NewFetchRequestTopic()
	for i := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition = int32(i)
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

func heartbeatRequest() kmsg.Request {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version = 4
	req.Group, req.MemberID = "a-group", "a-member-1234"
	return req
}
