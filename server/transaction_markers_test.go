package server

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/minikafka/minikafka/server/transactions"
)

// TestMarkerAnswers is TransactionMarkerRequestCompletionHandler.onComplete, code by code.
func TestMarkerAnswers(t *testing.T) {
	t.Parallel()
	const (
		done    = "done"
		retry   = "to be tried again"
		refused = "refused for good"
		fenced  = "somebody newer has taken over"
	)
	for _, test := range []struct {
		want  string
		codes []int16
	}{
		{done, []int16{
			0, kerr.UnsupportedForMessageFormat.Code, kerr.UnsupportedVersion.Code,
		}},
		{retry, []int16{
			kerr.UnknownTopicOrPartition.Code, kerr.NotLeaderForPartition.Code, kerr.NotEnoughReplicas.Code,
			kerr.NotEnoughReplicasAfterAppend.Code, kerr.RequestTimedOut.Code, kerr.KafkaStorageError.Code,
		}},
		{refused, []int16{
			kerr.CorruptMessage.Code, kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code, kerr.InvalidRequiredAcks.Code,
			kerr.UnknownServerError.Code, kerr.InvalidTxnState.Code,
		}},
		{fenced, []int16{kerr.InvalidProducerEpoch.Code, kerr.TransactionCoordinatorFenced.Code}},
	} {
		for _, code := range test.codes {
			var s markersSent
			s.note(code, transactions.Partition{Topic: "t"})
			got := done
			switch {
			case s.fenced:
				got = fenced
			case len(s.failed) > 0:
				got = retry
			case len(s.refused) > 0:
				got = refused
			}
			if got != test.want {
				t.Errorf("%v: %s, want %s", kerr.ErrorForCode(code), got, test.want)
			}
		}
	}
}
