package main

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"github.com/minikafka/minikafka"
)

// serveFlags are the flags of serve as they were given.
type serveFlags struct {
	brokers     int
	listen      string
	advertise   []string
	brokerIDs   []int32
	racks       []string
	controllers int
	dataDir     string
	topics      []string
	set         []string
	features    []string
	timings     string
	readyFile   string
	logLevel    string
}

// options turns flags into the cluster's options.
func (f *serveFlags) options() ([]minikafka.Option, error) {
	opts := []minikafka.Option{
		minikafka.Listen(f.listen),
		minikafka.Controllers(f.controllers),
	}
	if len(f.brokerIDs) > 0 {
		opts = append(opts, minikafka.BrokerIDs(f.brokerIDs...))
	} else {
		opts = append(opts, minikafka.Brokers(f.brokers))
	}
	if len(f.advertise) > 0 {
		opts = append(opts, minikafka.Advertise(f.advertise...))
	}
	if len(f.racks) > 0 {
		opts = append(opts, minikafka.Racks(f.racks...))
	}
	if f.dataDir != "" {
		opts = append(opts, minikafka.DataDir(f.dataDir))
	}
	switch f.timings {
	case "fast":
		opts = append(opts, minikafka.Timing(minikafka.FastTimings))
	case "kafka":
		opts = append(opts, minikafka.Timing(minikafka.KafkaTimings))
	default:
		return nil, fmt.Errorf("--timings %q: it takes fast or kafka", f.timings)
	}
	for _, list := range []struct {
		values []string
		parse  func(string) (minikafka.Option, error)
	}{{f.topics, parseTopic}, {f.set, parseSet}, {f.features, parseFeature}} {
		for _, value := range list.values {
			opt, err := list.parse(value)
			if err != nil {
				return nil, err
			}
			opts = append(opts, opt)
		}
	}
	return opts, nil
}

// parseTopic reads name:partitions[:replicas].
func parseTopic(text string) (minikafka.Option, error) {
	bad := fmt.Errorf("--topic %q: it takes name:partitions or name:partitions:replicas", text)
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" {
		return nil, bad
	}
	partitions, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil || partitions < 1 {
		return nil, bad
	}
	var opts []minikafka.TopicOption
	if len(parts) == 3 {
		replicas, err := strconv.ParseInt(parts[2], 10, 16)
		if err != nil || replicas < 1 {
			return nil, bad
		}
		opts = append(opts, minikafka.ReplicationFactor(int(replicas)))
	}
	return minikafka.Topic(parts[0], int(partitions), opts...), nil
}

// parseSet reads key=value, ID:key=value and controller:key=value.
func parseSet(text string) (minikafka.Option, error) {
	bad := fmt.Errorf("--set %q: it takes key=value, BROKER:key=value or controller:key=value", text)
	left, value, ok := strings.Cut(text, "=")
	if !ok {
		return nil, bad
	}
	scope, key, scoped := strings.Cut(left, ":")
	if !scoped {
		scope, key = "", left
	}
	switch {
	case key == "":
		return nil, bad
	case !scoped:
		return minikafka.Config(key, value), nil
	case scope == "controller":
		return minikafka.ControllerConfig(key, value), nil
	}
	id, err := parseID(scope)
	if err != nil {
		return nil, bad
	}
	return minikafka.BrokerConfig(id, key, value), nil
}

// parseFeature reads name=level.
func parseFeature(text string) (minikafka.Option, error) {
	name, level, ok := strings.Cut(text, "=")
	n, err := strconv.ParseInt(level, 10, 16)
	if !ok || name == "" || err != nil {
		return nil, fmt.Errorf("--feature %q: it takes name=level", text)
	}
	return minikafka.Feature(name, int16(n)), nil
}

func parseLevel(text string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("--log-level %q: it takes debug, info, warn or error", text)
	}
	return level, nil
}

func parseID(text string) (int32, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%q is not the id of a broker", text)
	}
	return int32(n), nil
}

// parsePartition reads TOPIC/PARTITION.
func parsePartition(text string) (topic string, partition int32, err error) {
	i := strings.LastIndexByte(text, '/')
	if i < 1 {
		return "", 0, fmt.Errorf("%q: it takes TOPIC/PARTITION", text)
	}
	n, err := strconv.ParseInt(text[i+1:], 10, 32)
	if err != nil || n < 0 {
		return "", 0, fmt.Errorf("%q: it takes TOPIC/PARTITION", text)
	}
	return text[:i], int32(n), nil
}
