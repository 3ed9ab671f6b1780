package configs

import (
	"fmt"
	"slices"
)

// What concerns more than one config, or one config and a broker's.

// CheckTogether checks what a broker shall be started with, all of it at once
// (KafkaConfig.validateValues, GroupCoordinatorConfig, LogConfig): values that
// do not fit each other, or that mean something only through a synonym. Each
// value fits its config already, which [CheckStatic] sees to. Rules about what
// has no effect here are left out: replica.fetch.wait.max.ms need not be shorter
// than replica.lag.time.max.ms. Errors are election.ErrInvalidConfig.
func CheckTogether(static map[string]string) error {
	b := BrokerValues{Static: static}
	for _, check := range []func(BrokerValues) string{logsTogether, requestsTogether, groupsTogether} {
		if message := check(b); message != "" {
			return invalid(message)
		}
	}
	return nil
}

func logsTogether(b BrokerValues) string {
	t := b.Topic(nil)
	switch {
	case t.Int("retention.ms") == 0:
		return "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"
	case t.Int("segment.ms") < 1:
		return "log.roll.ms must be greater than or equal to 1"
	case t.Int("segment.jitter.ms") < 0:
		return "log.roll.jitter.ms must be greater than or equal to 0"
	}
	return ""
}

func requestsTogether(b BrokerValues) string {
	queued := b.Int("queued.max.request.bytes")
	overrides, _ := b.Value("max.connections.per.ip.overrides")
	codec := b.Int("offsets.topic.compression.codec")
	switch {
	case queued > 0 && queued < b.Int("socket.request.max.bytes"):
		return "queued.max.request.bytes must be larger or equal to socket.request.max.bytes"
	case b.Int("max.connections.per.ip") == 0 && overrides == "":
		return "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
	case codec < 0 || codec > 4:
		return fmt.Sprintf("Unknown compression type id: %d", codec)
	}
	return ""
}

func groupsTogether(b BrokerValues) string {
	if !slices.Contains(b.List("group.coordinator.rebalance.protocols"), "classic") {
		return "Disabling the 'classic' protocol is not supported."
	}
	for _, kind := range []string{"consumer", "share", "streams"} {
		prefix := "group." + kind + "."
		for _, what := range []string{"heartbeat.interval.ms", "session.timeout.ms"} {
			low, high, value := prefix+"min."+what, prefix+"max."+what, prefix+what
			switch least, most := b.Int(low), b.Int(high); {
			case most < least:
				return fmt.Sprintf("%s must be greater than or equal to %s", high, low)
			case b.Int(value) < least:
				return fmt.Sprintf("%s must be greater than or equal to %s", value, low)
			case b.Int(value) > most:
				return fmt.Sprintf("%s must be less than or equal to %s", value, high)
			}
		}
		heartbeat, session := prefix+"heartbeat.interval.ms", prefix+"session.timeout.ms"
		if b.Int(heartbeat) >= b.Int(session) {
			return fmt.Sprintf("%s must be less than %s", heartbeat, session)
		}
	}
	return ""
}

// maxValueBytes is the longest value that the controller stores
// (ConfigurationControlManager).
const maxValueBytes = 32767

func checkLengths(configs map[string]string) error {
	for _, v := range configs {
		if len(v) > maxValueBytes {
			return invalid(fmt.Sprintf("The configuration value cannot be added because it exceeds the maximum value size of %d bytes.",
				maxValueBytes))
		}
	}
	return nil
}
