package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/minikafka/minikafka"
)

// clusterControl is a cluster with a control socket, in this process.
func clusterControl(t *testing.T) (*minikafka.Cluster, environment) {
	t.Helper()
	c := minikafka.Start(t, minikafka.Brokers(2), minikafka.Topic("orders", 1))
	env := testEnv(t)
	control, err := openControl(env, "", "")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		control.serve(newExecutor(c).do)
	}()
	t.Cleanup(func() {
		control.close()
		<-ended
	})
	return c, env
}

func TestFaultsFromAShell(t *testing.T) {
	t.Parallel()
	c, env := clusterControl(t)
	must := func(line string) string {
		t.Helper()
		code, stdout, stderr := command(t, env, strings.Fields(line)...)
		if code != 0 || stderr != "" {
			t.Fatalf("%s: exit %d, %q", line, code, stderr)
		}
		return strings.TrimSpace(stdout)
	}
	if got := must("fault list"); got != "there are no faults" {
		t.Error(got)
	}
	if got, want := must("fault add --api Produce --topic orders --partition 0 --effect lose-answer"), "fault 1: Produce of topic orders of partitions [0]: lose-answer"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	must("fault add --api produce,fetch --api Metadata --broker 1 --client-id x --group g --transactional-id tx --resource r" +
		" --skip 1 --count always --probability 0.5 --seed 7 --error -1 --effect error-after-work --top-level --delay-request 1s --delay-answer until-removed")
	cl := kafkaClient(t, c.Bootstrap(), kgo.DefaultProduceTopic("orders"), kgo.DisableIdempotentWrite(), kgo.MetadataMinAge(20*time.Millisecond))
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := must("fault wait 1"); got != "fault 1 has applied to 1 requests" {
		t.Error(got)
	}
	if got := c.Records("orders", 0); len(got) != 2 {
		t.Errorf("%d records, want the one that was sent twice", len(got))
	}
	if got := must("status"); !strings.Contains(got, "fault 2: ") || strings.Contains(got, "fault 1: ") {
		t.Errorf("the status does not tell of what may still apply: %s", got)
	}
	var all []minikafka.FaultStatus
	if err := json.Unmarshal([]byte(must("fault list --json")), &all); err != nil {
		t.Fatal(err)
	}
	want := "produce, fetch, Metadata to brokers [1] by client x of group g of transactional id tx of r, not the first 1, with probability 0.5:" +
		" request delayed 1s -1 error-after-work for the whole request answer delayed until removed"
	if len(all) != 2 || all[0].Hits != 1 || all[0].Left != 0 || all[1].Fault != want || all[1].Left != minikafka.Always {
		t.Errorf("%+v\nwant %s", all, want)
	}
	for _, line := range []string{
		"fault", "fault add --help", "fault add --error -1 --json",
		"fault remove 1 2", "fault remove all", "fault remove all --json",
	} {
		must(line)
	}
	if len(c.Faults()) != 0 {
		t.Errorf("%v", c.Faults())
	}
	for line, says := range map[string]string{
		"fault add":                           "it does nothing",
		"fault add orders":                    "use it as minikafka fault add",
		"fault add --error NO":                "no error",
		"fault add --api Prduce --error -1":   "no request",
		"fault add --broker 9 --error -1":     "no such node",
		"fault add --count 0 --error -1":      "always",
		"fault add --delay-answer -1s":        "500ms",
		"fault add --delay-request soon":      "500ms",
		"fault add --probability 2 --error 3": "0 to 1",
		"fault add --effect explode":          "lose-answer",
		"fault remove":                        "fault remove {NUMBER...|all}",
		"fault remove 7":                      "fault list",
		"fault wait 7":                        "fault list",
		"fault wait":                          "fault wait NUMBER [TIMES]",
		"fault nothing":                       "unknown command",
		"fault add --skip many --error 3":     `--skip "many": it takes a number`,
	} {
		if code, _, stderr := command(t, env, strings.Fields(line)...); code != exitUsage || !strings.Contains(stderr, says) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, want %q in one line: %q", line, code, says, stderr)
		}
	}
}
