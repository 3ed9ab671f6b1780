package server

import (
	"cmp"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/replication"
)

// DescribeLogDirs (35), versions 1-5. A broker has one directory: its file. v4
// tells how large its volume is.

func describeLogDirs(r *request, q *kmsg.DescribeLogDirsRequest) (kmsg.Response, error) {
	resp := q.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = r.broker.config.LogDir
	if dir.Dir == "" {
		dir.Dir = r.broker.config.Path
		if path, err := filepath.Abs(dir.Dir); err == nil {
			dir.Dir = path
		}
	}
	dir.TotalBytes, dir.UsableBytes = volume(r.broker.config.Path)
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}

	asked := map[place]bool{}
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			asked[place{t.Topic, p}] = true
		}
	}
	for _, replica := range sortedReplicas(r.broker.replicas) {
		if q.Topics != nil && !asked[place{replica.Topic(), replica.ID().Partition}] {
			continue
		}
		p := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		p.Partition = replica.ID().Partition
		l := replica.Log()
		p.Size, p.OffsetLag = l.Size(), max(l.HighWatermark()-l.LogEndOffset(), 0)
		last := len(dir.Topics) - 1
		if last < 0 || dir.Topics[last].Topic != replica.Topic() {
			t := kmsg.NewDescribeLogDirsResponseDirTopic()
			t.Topic = replica.Topic()
			dir.Topics = append(dir.Topics, t)
			last++
		}
		dir.Topics[last].Partitions = append(dir.Topics[last].Partitions, p)
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp, nil
}

func sortedReplicas(m *replication.Manager) []*replication.Replica {
	all := m.Replicas()
	slices.SortFunc(all, func(a, b *replication.Replica) int {
		return cmp.Or(cmp.Compare(a.Topic(), b.Topic()), cmp.Compare(a.ID().Partition, b.ID().Partition))
	})
	return all
}
