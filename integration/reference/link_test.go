package reference

import "testing"

func TestNodeOf(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int32{
		"1": 1, "102": 102, "broker-3-fetcher-0": 3, "raft-client-100": 100, "broker-2-to-controller-heartbeat": 2, "": -1, "someone": -1,
	} {
		if got := nodeOf(id); got != want {
			t.Errorf("nodeOf(%q) = %d, want %d", id, got, want)
		}
	}
}
