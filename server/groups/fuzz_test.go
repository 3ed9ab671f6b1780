package groups

import (
	"testing"

	"github.com/minikafka/minikafka/server/coordinator"
)

// FuzzReplay loads records of any content: those that cannot be read are errors,
// and what is loaded can be used.
func FuzzReplay(f *testing.F) {
	h := newHarness(f, nil)
	members, g := h.stable(2)
	h.commitAs(members[0], g, 5)
	for _, r := range h.log {
		f.Add(r.Key, r.Value, true)
	}
	f.Add(groupKey("g"), []byte(nil), false)
	f.Add([]byte{0, 5}, []byte{0}, true)
	f.Fuzz(func(t *testing.T, key, value []byte, there bool) {
		if there && checkVersion(value, groupMetadataValue) != nil {
			return // kmsg takes its time over a flexible value that promises millions of tags.
		}
		h := newHarness(t, nil)
		if !there {
			value = nil
		} else if value == nil {
			value = []byte{}
		}
		r := coordinator.Record{Key: key, Value: value}
		if err := h.shard.Replay(coordinator.Position{ProducerID: -1, ProducerEpoch: -1}, r); err != nil {
			return
		}
		h.log = []coordinator.Record{r}
		h.commit()
		h.shard.Loaded()
		for _, l := range h.shard.ListGroups(nil, nil, h.committed) {
			h.shard.DescribeGroups([]string{l.Group}, 6, h.committed)
			if g := h.shard.classic(l.Group); g != nil {
				if err := g.check(); err != nil {
					t.Errorf("%v", err)
				}
			}
		}
		h.send(2, joinRequest(""))
		h.pass(testRebalance)
		h.shard.Unloaded()
	})
}
