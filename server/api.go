package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxKey is the highest API key that may be served.
const maxKey = 94

// api is one API key that the broker serves.
type api struct {
	key kmsg.Key
	// min and max are the versions that ApiVersions offers; served is the lowest
	// that is answered: Produce offers 0-2 for old librdkafka's sake and closes
	// the connection on them, as Kafka does.
	min, max, served int16
	handle           handler
}

// handler answers a request. A nil response means that none is sent. An error
// closes the connection without an answer; what went wrong with one topic or
// partition goes into the response.
type handler func(*request) (kmsg.Response, error)

// serve makes an entry of the table from a function of the decoded request.
func serve[Q kmsg.Request](key kmsg.Key, minVersion, maxVersion int16, f func(*request, Q) (kmsg.Response, error)) api {
	return api{key, minVersion, maxVersion, minVersion, func(r *request) (kmsg.Response, error) {
		return f(r, r.body.(Q))
	}}
}

// from has versions below first offered, but not answered.
func (a api) from(first int16) api {
	a.served = first
	return a
}

// apis is every API key that is served, with the versions that Apache Kafka
// 4.4.0 offers. Dispatch and ApiVersions are made from it.
func apis() []api {
	all := []api{
		serve(kmsg.Produce, 0, 13, produce).from(3),
		serve(kmsg.Fetch, 4, 18, fetch),
		serve(kmsg.ListOffsets, 1, 11, listOffsets),
		serve(kmsg.Metadata, 0, 13, metadata),
		serve(kmsg.OffsetCommit, 2, 10, offsetCommit),
		serve(kmsg.OffsetFetch, 1, 10, offsetFetch),
		serve(kmsg.JoinGroup, 0, 9, joinGroup),
		serve(kmsg.Heartbeat, 0, 4, heartbeat),
		serve(kmsg.LeaveGroup, 0, 5, leaveGroup),
		serve(kmsg.SyncGroup, 0, 5, syncGroup),
		serve(kmsg.DescribeGroups, 0, 6, describeGroups),
		serve(kmsg.ListGroups, 0, 5, listGroups),
		serve(kmsg.FindCoordinator, 0, 6, findCoordinator),
		serve(kmsg.ApiVersions, 0, 5, apiVersions),
		serve(kmsg.CreateTopics, 2, 7, createTopics),
		serve(kmsg.DeleteTopics, 1, 6, deleteTopics),
		serve(kmsg.DeleteRecords, 0, 2, deleteRecords),
		serve(kmsg.InitProducerID, 0, 5, initProducerID),
		serve(kmsg.AddPartitionsToTxn, 0, 5, addPartitionsToTxn),
		serve(kmsg.AddOffsetsToTxn, 0, 4, addOffsetsToTxn),
		serve(kmsg.EndTxn, 0, 5, endTxn),
		serve(kmsg.WriteTxnMarkers, 1, 2, writeTxnMarkers),
		serve(kmsg.TxnOffsetCommit, 0, 6, txnOffsetCommit),
		serve(kmsg.DescribeTransactions, 0, 0, describeTransactions),
		serve(kmsg.ListTransactions, 0, 2, listTransactions),
		serve(kmsg.OffsetForLeaderEpoch, 2, 4, offsetForLeaderEpoch),
		serve(kmsg.DescribeConfigs, 1, 4, describeConfigs),
		serve(kmsg.AlterConfigs, 0, 2, alterConfigs),
		serve(kmsg.DescribeLogDirs, 1, 5, describeLogDirs),
		serve(kmsg.CreatePartitions, 0, 3, createPartitions),
		serve(kmsg.DeleteGroups, 0, 3, deleteGroups),
		serve(kmsg.ElectLeaders, 0, 2, electLeaders),
		serve(kmsg.IncrementalAlterConfigs, 0, 1, incrementalAlterConfigs),
		serve(kmsg.AlterPartitionAssignments, 0, 1, alterPartitionReassignments),
		serve(kmsg.ListPartitionReassignments, 0, 0, listPartitionReassignments),
		serve(kmsg.OffsetDelete, 0, 0, offsetDelete),
		serve(kmsg.DescribeQuorum, 0, 2, describeQuorum),
		serve(kmsg.UpdateFeatures, 0, 2, updateFeatures),
		serve(kmsg.DescribeCluster, 0, 2, describeCluster),
		serve(kmsg.DescribeProducers, 0, 0, describeProducers),
		serve(kmsg.UnregisterBroker, 0, 0, unregisterBroker),
		serve(kmsg.ConsumerGroupHeartbeat, 0, 1, consumerGroupHeartbeat),
		serve(kmsg.ConsumerGroupDescribe, 0, 1, consumerGroupDescribe),
		serve(kmsg.ListConfigResources, 0, 1, listConfigResources),
		serve(kmsg.DescribeTopicPartitions, 0, 0, describeTopicPartitions),
		serve(kmsg.ShareGroupHeartbeat, 1, 1, shareGroupHeartbeat),
		serve(kmsg.ShareGroupDescribe, 1, 1, shareGroupDescribe),
		serve(kmsg.ShareFetch, 1, 2, shareFetch),
		serve(kmsg.ShareAcknowledge, 1, 2, shareAcknowledge),
		serve(kmsg.InitializeShareGroupState, 0, 0, initializeShareGroupState),
		serve(kmsg.ReadShareGroupState, 0, 0, readShareGroupState),
		serve(kmsg.WriteShareGroupState, 0, 1, writeShareGroupState),
		serve(kmsg.DeleteShareGroupState, 0, 0, deleteShareGroupState),
		serve(kmsg.ReadShareGroupStateSummary, 0, 1, readShareGroupStateSummary),
		serve(kmsg.DescribeShareGroupOffsets, 0, 1, describeShareGroupOffsets),
		serve(kmsg.AlterShareGroupOffsets, 0, 0, alterShareGroupOffsets),
		serve(kmsg.DeleteShareGroupOffsets, 0, 0, deleteShareGroupOffsets),
	}
	slices.SortFunc(all, func(a, b api) int { return cmp.Compare(a.key, b.key) })
	return all
}

// find looks a key up; nil when it is not served.
func (b *broker) find(key int16) *api {
	if key < 0 || key > maxKey {
		return nil
	}
	return b.table[key]
}

// request is one request of a client, under way. It is used by one goroutine.
type request struct {
	// ctx ends with the client's connection or the broker.
	ctx     context.Context // The request is what lives as long as its context.
	broker  *broker
	key     kmsg.Key
	version int16
	// clientID is "" where the client sent null.
	clientID string
	// host is the client's address, without its port.
	host string
	// body is the decoded request, its version set. Bytes in it are the
	// request's own: they may be kept.
	body kmsg.Request
}
