package groups

import (
	"errors"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSubscriptionsOfClassicMembers(t *testing.T) {
	t.Parallel()
	for v := range int16(4) {
		s := kmsg.NewConsumerMemberMetadata()
		s.Version, s.Topics, s.UserData = v, []string{"a", "b"}, []byte{1}
		if v >= 1 {
			s.OwnedPartitions = []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "a", Partitions: []int32{0, 2}}}
		}
		if v >= 2 {
			s.Generation = 7
		}
		if v >= 3 {
			s.Rack = text("r")
		}
		all := s.AppendTo(nil)
		got, err := readSubscription(all)
		if err != nil || !reflect.DeepEqual(*got, s) {
			t.Errorf("version %d: read %+v, %v", v, got, err)
		}
		for n := range all {
			if _, err := readSubscription(all[:n]); !errors.Is(err, ErrRecord) {
				t.Errorf("version %d, %d bytes of %d: %v", v, n, len(all), err)
			}
		}
	}
	a := kmsg.NewConsumerMemberAssignment()
	a.Version, a.Topics = 1, []kmsg.ConsumerMemberAssignmentTopic{{Topic: "a", Partitions: []int32{0, 2}}}
	if got, err := readAssignment(a.AppendTo(nil)); err != nil || !reflect.DeepEqual(*got, a) {
		t.Errorf("read %+v, %v", got, err)
	}
}

// TestLengthsOfSubscriptionsAreNotBelieved: a few bytes cannot ask for much memory.
// It is not parallel: it measures the memory of the process.
func TestLengthsOfSubscriptionsAreNotBelieved(t *testing.T) {
	huge := append([]byte{0, 1, 0x00, 0x10, 0, 0}, make([]byte, 1<<20)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, first := readSubscription(huge)
	_, second := readAssignment(huge)
	runtime.ReadMemStats(&after)
	if first == nil || second == nil {
		t.Errorf("errors %v and %v", first, second)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<16 {
		t.Errorf("%d bytes were allocated", n)
	}
}

func FuzzSubscriptions(f *testing.F) {
	s := kmsg.NewConsumerMemberMetadata()
	s.Version, s.Topics = 3, []string{"a"}
	f.Add(s.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, err := range []error{second(readSubscription(b)), second(readAssignment(b))} {
			if err != nil && !errors.Is(err, ErrRecord) {
				t.Error(err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
