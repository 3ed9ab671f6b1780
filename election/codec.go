package election

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// entryVersion is the first byte of every entry of the controller's log.
const entryVersion = 1

var errEntry = errors.New("election: unreadable entry in the controller's log")

// applier is a command as it stands in the log: apply evaluates all its rules
// against the edit and changes it. It does no I/O and reads no clock; what is
// random was put in by the proposer.
type applier interface {
	apply(e *edit) (any, error)
}

// codec writes commands as log entries and reads them back. The place of a type
// in the list is its number in the file: append only.
type codec struct {
	fresh []func() applier
	kinds map[reflect.Type]byte
}

func newCodec() *codec {
	c := &codec{
		fresh: []func() applier{
			func() applier { return new(claim) },
			func() applier { return new(registerBroker) },
			func() applier { return new(unfenceBroker) },
			func() applier { return new(fenceBroker) },
			func() applier { return new(beginShutdown) },
			func() applier { return new(electPeriodically) },
			func() applier { return new(createTopics) },
			func() applier { return new(DeleteTopics) },
			func() applier { return new(CreatePartitions) },
			func() applier { return new(AlterConfigs) },
			func() applier { return new(ElectLeaders) },
			func() applier { return new(AlterReassignments) },
			func() applier { return new(AllocateProducerIDs) },
			func() applier { return new(AlterPartition) },
			func() applier { return new(ReportOffline) },
			func() applier { return new(UpdateFeatures) },
			func() applier { return new(UnregisterBroker) },
		},
		kinds: map[reflect.Type]byte{},
	}
	for i, f := range c.fresh {
		c.kinds[reflect.TypeOf(f())] = byte(i)
	}
	return c
}

// encode makes an entry: version, kind, the proposal's number, the command.
func (c *codec) encode(proposal uint64, cmd applier) ([]byte, error) {
	kind, ok := c.kinds[reflect.TypeOf(cmd)]
	if !ok {
		return nil, fmt.Errorf("%w: %T", errors.ErrUnsupported, cmd)
	}
	body, err := json.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 10+len(body))
	b = append(b, entryVersion, kind)
	b = binary.BigEndian.AppendUint64(b, proposal)
	return append(b, body...), nil
}

func (c *codec) decode(b []byte) (proposal uint64, cmd applier, err error) {
	if len(b) < 10 || b[0] != entryVersion || int(b[1]) >= len(c.fresh) {
		return 0, nil, errEntry
	}
	cmd = c.fresh[b[1]]()
	if err := json.Unmarshal(b[10:], cmd); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errEntry, err)
	}
	return binary.BigEndian.Uint64(b[2:]), cmd, nil
}
