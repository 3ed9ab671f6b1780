package replication

import (
	"context"

	"github.com/minikafka/minikafka/log"
	"github.com/minikafka/minikafka/replication/fabric"
)

type manager struct{}

func newManager(ManagerConfig) *Manager                { panic("not built yet") }
func (m *manager) apply([]Assignment, []Gone, Members) { panic("not built yet") }
func (m *manager) replica(log.PartitionID) *Replica    { panic("not built yet") }
func (m *manager) replicas() []*Replica                { panic("not built yet") }
func (m *manager) stop()                               { panic("not built yet") }
func (m *manager) handle(context.Context, fabric.Node, any) (any, bool, error) {
	panic("not built yet")
}

type pending struct{ stored, committed chan struct{} }

func (p *pending) result() (Appended, error) { panic("not built yet") }

type replica struct {
	id    log.PartitionID
	topic string
	log   *log.Partition
}

func (r *replica) checkAppend(int16) error                                 { panic("not built yet") }
func (r *replica) append(log.Batch, int16) (*Pending, error)               { panic("not built yet") }
func (r *replica) read(ReadRequest) (ReadResult, error)                    { panic("not built yet") }
func (r *replica) available(ReadRequest) (int, error)                      { panic("not built yet") }
func (r *replica) watch(chan<- struct{}) func()                            { panic("not built yet") }
func (r *replica) lookupOffset(OffsetRequest) (log.TimestampOffset, error) { panic("not built yet") }
func (r *replica) epochEnd(int32, int32) (log.EpochStart, error)           { panic("not built yet") }
func (r *replica) deleteRecords(context.Context, int64) (int64, error)     { panic("not built yet") }
func (r *replica) state() State                                            { panic("not built yet") }
