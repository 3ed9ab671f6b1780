// Command minikafka runs a small Apache Kafka for tests and development: several
// brokers in one process. Its other subcommands break and mend that cluster
// while it runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailed = 1 // a verb could not be carried out
	exitUsage  = 2 // a bad value, or something is in the way of a start
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Getenv, os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit code.
func run(ctx context.Context, env environment, args []string, stdout, stderr io.Writer) int {
	root := newRoot(env)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	message := strings.ReplaceAll(err.Error(), "\n", "; ")
	if !strings.HasPrefix(message, "minikafka: ") {
		message = "minikafka: " + message
	}
	_, _ = fmt.Fprintln(stderr, message) // there is nowhere else to say it
	var failed *failedError
	if errors.As(err, &failed) {
		return exitFailed
	}
	return exitUsage
}

// failedError is the failure of something that was asked for correctly.
type failedError struct{ err error }

func (e *failedError) Error() string { return e.err.Error() }
func (e *failedError) Unwrap() error { return e.err }

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:           "minikafka",
		Short:         "A small Apache Kafka for tests: several brokers in one process, which can be broken on purpose",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagError)
	o := clientOptions{env: env}
	root.PersistentFlags().StringVar(&o.control, "control", "",
		"Unix socket of the running cluster (default: $"+controlEnv+", or that of the only one running)")
	root.PersistentFlags().BoolVar(&o.json, "json", false, "print the answer as JSON")
	root.AddCommand(newServe(&o), newFault(&o))
	for _, cmd := range newVerbs(&o) {
		root.AddCommand(cmd)
	}
	return root
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
