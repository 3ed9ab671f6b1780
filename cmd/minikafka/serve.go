package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/minikafka/minikafka"
)

func newServe(o *clientOptions) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a cluster until SIGINT or SIGTERM",
		Long: `Run a cluster until SIGINT or SIGTERM.

The first line of standard output is the list of addresses for bootstrap.servers,
written when clients can connect. Logs go to standard error.`,
		Example: `  minikafka serve --brokers 3 --topic orders:6
  minikafka serve --listen 127.0.0.1:0 --ready-file /tmp/ready --set min.insync.replicas=2
  minikafka serve --data-dir ./data --set 2:broker.rack=b --timings kafka`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags := cmd.Flags(); flags.Changed("broker-ids") && flags.Changed("brokers") && len(f.brokerIDs) != f.brokers {
				return fmt.Errorf("--brokers %d, but %d --broker-ids: give one of them", f.brokers, len(f.brokerIDs))
			}
			return serve(cmd.Context(), f, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.brokers, "brokers", 3, "number of brokers; their ids are 0, 1, 2 and so on")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:9092", "`host:port` of the first broker; the next ones take the ports after it, port 0 takes free ones")
	flags.StringSliceVar(&f.advertise, "advertise", nil, "`host:port,...` that clients are told, one for each broker")
	flags.Int32SliceVar(&f.brokerIDs, "broker-ids", nil, "`ids` of the brokers, instead of --brokers")
	flags.StringSliceVar(&f.racks, "racks", nil, "`racks` of the brokers, in the order of their ids")
	flags.IntVar(&f.controllers, "controllers", 1, "number of controllers; their ids are 0, 1, 2 and so on")
	flags.StringVar(&f.dataDir, "data-dir", "", "`directory` that keeps topics and records (default: a temporary one)")
	flags.StringArrayVar(&f.topics, "topic", nil, "topic to create, as `name:partitions` or name:partitions:replicas; repeat it for more")
	flags.StringArrayVar(&f.set, "set", nil, "config by Kafka's name, as `key=value`, ID:key=value for one broker, or controller:key=value; repeat it for more")
	flags.StringArrayVar(&f.features, "feature", nil, "level of a feature of a new cluster, as `name=level`; repeat it for more")
	flags.StringVar(&f.timings, "timings", "fast", "`timers`: fast, or those of kafka")
	flags.StringVar(&f.readyFile, "ready-file", "", "`file` to write when clients can connect; it holds the bootstrap list")
	flags.StringVar(&f.logLevel, "log-level", "warn", "`level`: debug, info, warn or error")
	noDefaults(flags, "broker-ids")
	return cmd
}

// serve runs a cluster until ctx ends. Its errors are about the start.
func serve(ctx context.Context, f serveFlags, o *clientOptions, stdout, stderr io.Writer) (err error) {
	opts, err := f.options()
	if err != nil {
		return err
	}
	level, err := parseLevel(f.logLevel)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	socket, err := openControl(o.env, o.control, f.dataDir)
	if err != nil {
		return err
	}
	defer socket.close()
	if err := os.Remove(f.readyFile); f.readyFile != "" && err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--ready-file: %w", err)
	}
	if f.dataDir == "" {
		// Whoever leaves it running for days has more disk than memory.
		var temp string
		if temp, err = os.MkdirTemp("", "minikafka-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
		opts = append(opts, minikafka.DataDir(temp))
	}
	cluster, err := minikafka.New(append(opts, minikafka.Logger(logger))...)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: choose others with --listen, such as 127.0.0.1:0 for free ones", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	served := make(chan struct{})
	go func() {
		defer close(served)
		socket.serve(newExecutor(cluster).do)
	}()
	defer func() {
		socket.close()
		<-served
	}()
	if f.readyFile != "" {
		if err := writeReady(f.readyFile, cluster.Bootstrap()); err != nil {
			return err
		}
		defer func() { _ = os.Remove(f.readyFile) }()
	}
	// Whoever has read the first line may have closed the pipe: not to be read is
	// no reason to end.
	signal.Ignore(syscall.SIGPIPE)
	announce(stdout, cluster)
	<-ctx.Done()
	return nil
}

// writeReady writes the file whole: who waits for it may read it at once.
func writeReady(path, bootstrap string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".minikafka-ready-")
	if err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	_, err = fmt.Fprintln(temp, bootstrap)
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return fmt.Errorf("--ready-file: %w", err)
	}
	return nil
}

// announce prints the bootstrap list, and how to break a node.
func announce(out io.Writer, c *minikafka.Cluster) {
	brokers := c.Brokers()
	id := brokers[len(brokers)-1].ID()
	_, _ = fmt.Fprintf(out, `%s
Break broker %d:     minikafka crash %d      (or shutdown, power-off, isolate)
Bring it back:      minikafka restart %d    (heal, after isolate)
See what happens:   minikafka status
`, c.Bootstrap(), id, id, id)
}
