package server_test

import (
	"fmt"
	"testing"
	"time"
)

// TestFlush syncs as the configs of the topic, or else of the broker, say: a
// power cut then loses what came after.
func TestFlush(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		broker, topic map[string]string
		byTime        bool
		kept          int64 // of four records
	}{
		{"never by default", nil, nil, false, 0},
		{"flush.messages", nil, map[string]string{"flush.messages": "3"}, false, 3},
		{"log.flush.interval.messages", map[string]string{"log.flush.interval.messages": "2"}, nil, false, 4},
		{
			"flush.messages before log.flush.interval.messages",
			map[string]string{"log.flush.interval.messages": "1"},
			map[string]string{"flush.messages": "3"},
			false, 3,
		},
		{"flush.ms", nil, map[string]string{"flush.ms": "10"}, true, 4},
		{"log.flush.interval.ms", map[string]string{"log.flush.interval.ms": "10"}, nil, true, 4},
		{"flush.ms of an hour", nil, map[string]string{"flush.ms": "3600000"}, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t, 1, c.broker, func(cl *cluster) { cl.syncs = make(chan struct{}, 1) })
			cl.createTopic("t", 1, 1, c.topic)
			conn := cl.dial(1)
			for i := range 4 {
				if p := conn.produce(produceRequest("t", 0, 1, batch(fmt.Sprint(i)))); p.ErrorCode != 0 {
					t.Fatalf("%+v", p)
				}
			}
			select {
			case <-cl.syncs: // from before the last record, perhaps
			default:
			}
			for n := 0; c.byTime && n < 2; n++ { // the first is done when the second begins
				select {
				case <-cl.syncs:
				case <-time.After(waitLimit):
					t.Fatal("no sync came")
				}
			}
			cl.brokers[1].PowerOff()
			delete(cl.brokers, 1)
			cl.start(1)
			cl.ready(1)
			cl.leader("t", 0)
			if end := cl.brokers[1].Manager().Replica(cl.id("t", 0)).State().LogEndOffset; end != c.kept {
				t.Errorf("the log ends at %d, want %d", end, c.kept)
			}
		})
	}
}
