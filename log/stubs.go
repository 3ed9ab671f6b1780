package log

import "errors"

var errTodo = errors.New("log: not there yet")

type db struct{}

func openDB(string, Options) (*DB, error)               { return nil, errTodo }
func (d *db) close(bool) error                          { return errTodo }
func (d *db) powerOff() error                           { return errTodo }
func (d *db) sync() error                               { return errTodo }
func (d *db) partition(PartitionID) (*Partition, error) { return nil, errTodo }
func (d *db) partitions() []PartitionID                 { return nil }
func (d *db) deletePartition(PartitionID) error         { return errTodo }
func (d *db) value(string) ([]byte, error)              { return nil, errTodo }
func (d *db) setValue(string, []byte) error             { return errTodo }
func (d *db) size() int64                               { return 0 }
func (d *db) checkpoint() error                         { return errTodo }

type partition struct{}

func (p *partition) id() PartitionID                              { return PartitionID{} }
func (p *partition) firstIndex() uint64                           { return 0 }
func (p *partition) lastIndex() uint64                            { return 0 }
func (p *partition) previous() (index, term uint64)               { return 0, 0 }
func (p *partition) entry(uint64) (Entry, error)                  { return Entry{}, ErrNotFound }
func (p *partition) endOffsetAt(uint64) (int64, error)            { return 0, ErrNotFound }
func (p *partition) append([]Entry, bool) error                   { return errTodo }
func (p *partition) truncateFrom(uint64) error                    { return errTodo }
func (p *partition) term() uint64                                 { return 0 }
func (p *partition) setTerm(uint64) error                         { return errTodo }
func (p *partition) logStartOffset() int64                        { return 0 }
func (p *partition) logEndOffset() int64                          { return 0 }
func (p *partition) highWatermark() int64                         { return 0 }
func (p *partition) setHighWatermark(int64)                       {}
func (p *partition) read(int64, int64, int, bool) ([]byte, error) { return nil, errTodo }
func (p *partition) bytesAvailable(int64, int64, int) int         { return 0 }
func (p *partition) epochEnd(int32) (int32, int64)                { return -1, -1 }
func (p *partition) epochAt(int64) int32                          { return -1 }
func (p *partition) latestEpoch() (int32, int64)                  { return -1, -1 }
func (p *partition) offsetForTimestamp(int64) (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errTodo
}

func (p *partition) maxTimestamp() (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errTodo
}
func (p *partition) raiseLogStart(int64) error                           { return errTodo }
func (p *partition) retain(Retention) (int64, error)                     { return 0, errTodo }
func (p *partition) compact(Compaction) (bool, error)                    { return false, errTodo }
func (p *partition) size() int64                                         { return 0 }
func (p *partition) resetState() (ResetState, error)                     { return ResetState{}, errTodo }
func (p *partition) reset(ResetState) error                              { return errTodo }
func (p *partition) checkProducer(ProducerBatch) (*ProducerBatch, error) { return nil, errTodo }
func (p *partition) cloneProducer(int64) *Producers                      { return &Producers{} }
func (p *partition) listProducers() []Producer                           { return nil }
func (p *partition) expireProducers(int64, int64)                        {}
func (p *partition) firstUnstableOffset() int64                          { return -1 }
func (p *partition) abortedTxns(int64, int64) []AbortedTxn               { return nil }

type producers struct{}

func (s *producers) check(ProducerBatch) (*ProducerBatch, error) { return nil, errTodo }
func (s *producers) add(ProducerBatch)                           {}
func (s *producers) clone() *Producers                           { return &Producers{} }
func (s *producers) expire(int64, int64)                         {}
func (s *producers) list() []Producer                            { return nil }

func splitProduced([]byte) (Batch, error)               { return Batch{}, errTodo }
func parseBatch([]byte) (Batch, []byte, error)          { return Batch{}, nil, errTodo }
func validate(Batch, Rules) (Batch, error)              { return Batch{}, errTodo }
func decodeRecords(Batch, int64) ([]Record, error)      { return nil, errTodo }
func buildBatch([]Record, BatchOptions) ([]byte, error) { return nil, errTodo }
