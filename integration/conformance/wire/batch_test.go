package wire_test

import (
	"errors"
	"testing"

	"github.com/minikafka/minikafka/integration/conformance/wire"
)

func TestBatchRoundTrip(t *testing.T) {
	t.Parallel()
	sent := wire.NewBatch("a", "bc").From(7, 1, 40).At(1000)
	sent.Records[1].Key, sent.Records[1].Timestamp = []byte("k"), 1500
	raw := sent.Bytes()
	got, partial, err := wire.ParseBatches(append(raw, raw[:20]...))
	if err != nil || partial != 20 || len(got) != 1 {
		t.Fatalf("ParseBatches: %d batches, %d bytes left over, error %v; want 1, 20, none", len(got), partial, err)
	}
	b := got[0]
	if b.ProducerID != 7 || b.ProducerEpoch != 1 || b.BaseSequence != 40 || b.MaxTimestamp != 1500 {
		t.Errorf("header came back as %+v", b)
	}
	if len(b.Records) != 2 || string(b.Records[1].Value) != "bc" || string(b.Records[1].Key) != "k" || b.Records[1].Timestamp != 1500 || b.Records[1].Offset != 1 {
		t.Errorf("records came back as %+v", b.Records)
	}
	raw[len(raw)-1]++
	if _, _, err := wire.ParseBatches(raw); !errors.Is(err, wire.ErrBatch) {
		t.Errorf("a wrong checksum gave %v, want %v", err, wire.ErrBatch)
	}
}
