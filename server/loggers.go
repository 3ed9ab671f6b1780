package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/minikafka/minikafka/election"
	"github.com/minikafka/minikafka/server/configs"
)

// loggers are the levels of a broker's loggers, as DescribeConfigs tells them
// and IncrementalAlterConfigs sets them (KIP-412). They are kept and told, but
// change nothing: the broker logs to the slog.Logger it was given, whose level
// is its owner's. Like Kafka's they are gone with the broker's process. The zero
// value has the levels of the beginning.
type loggers struct {
	mu    sync.Mutex
	level map[string]string // guarded by mu; use levels
}

// rootLogger is the logger that the others inherit from.
const rootLogger = "root"

// levels is the map; l.mu is held.
func (l *loggers) levels() map[string]string {
	if l.level == nil {
		l.level = map[string]string{rootLogger: "INFO", "kafka": "INFO", "org.apache.kafka": "INFO"}
	}
	return l.level
}

func (l *loggers) describe() []configs.Entry {
	l.mu.Lock()
	set := maps.Clone(l.levels())
	l.mu.Unlock()
	return setEntries(set, configs.FromLogger)
}

// alter sets levels, all or none (RuntimeLoggerManager). A deleted level becomes
// the root logger's.
func (l *loggers) alter(changes []election.ConfigChange, validateOnly bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		if err := l.check(c); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, c := range changes {
		if c.Op == election.OpDelete {
			l.levels()[c.Name] = l.levels()[rootLogger]
		} else {
			l.levels()[c.Name] = *c.Value
		}
	}
	return nil
}

func (l *loggers) check(c election.ConfigChange) error {
	switch c.Op {
	case election.OpSet, election.OpDelete:
	case election.OpAppend:
		return refuse(election.ErrInvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource")
	case election.OpSubtract:
		return refuse(election.ErrInvalidRequest, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
	default:
		return refuse(election.ErrInvalidRequest,
			fmt.Sprintf("Unknown operation type %d is not allowed for the BROKER_LOGGER resource", c.Op))
	}
	if _, ok := l.levels()[c.Name]; !ok {
		return refuse(election.ErrInvalidConfig, "Logger "+c.Name+" does not exist!")
	}
	if c.Op == election.OpDelete {
		if c.Name == rootLogger {
			return refuse(election.ErrInvalidRequest, "Removing the log level of the "+rootLogger+" logger is not allowed")
		}
		return nil
	}
	levels := []string{"DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"}
	if !slices.Contains(levels, *c.Value) {
		return refuse(election.ErrInvalidConfig, fmt.Sprintf("Cannot set the log level of %s to %s as it is not a supported "+
			"log level. Valid log levels are %s", c.Name, *c.Value, strings.Join(levels, ", ")))
	}
	return nil
}
