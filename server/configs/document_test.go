package configs_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/minikafka/minikafka/server/configs"
)

//nolint:gochecknoglobals // A flag of the test binary.
var update = flag.Bool("update", false, "write docs/CONFIGS.md")

const documentPath = "../../docs/CONFIGS.md"

// document is docs/CONFIGS.md as catalogue and code have it.
func document(t *testing.T) string {
	t.Helper()
	named := namedInCode(t, "../..")
	var b strings.Builder
	b.WriteString(`# Configs

minikafka knows every config of Apache Kafka 4.4.0: it takes, validates, keeps and tells them all, with Kafka's defaults,
sources and synonyms. Those below have an effect; the others have none, and are told all the same. What ` + "`DescribeConfigs`" + `
gives as documentation is the text of this page. Kafka's defaults stand below; a cluster with minikafka's own timings, which is
the default, sets shorter ones for some: see ` + "`FastTimings`" + `.

This page is made from the catalogue in ` + "`server/configs`" + ` by ` + "`go test ./server/configs -run TestDocument -update`" + `, and a test
compares the two.
`)
	for _, s := range []struct {
		scope configs.Scope
		title string
		text  string
	}{
		{configs.Topic, "Topics", "`CreateTopics`, `IncrementalAlterConfigs` and `AlterConfigs` set them. A change is in force at all leaders when it is answered."},
		{configs.Broker, "Brokers", "Those that are read-only are set when a broker starts, the others also at run time, for one broker or, but for those marked so, for all."},
		{configs.Group, "Groups", "`IncrementalAlterConfigs` sets them for a group (resource type 32)."},
	} {
		all := configs.All(s.scope)
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, s.text)
		if len(configs.Effective(s.scope)) > 0 {
			b.WriteString("| config | default | what it does |\n| --- | --- | --- |\n")
		}
		var without, missing []string
		for _, c := range all {
			switch {
			case c.Effect == "":
				without = append(without, "`"+c.Name+"`")
			case !reads(named, c):
				missing = append(missing, "`"+c.Name+"`")
			default:
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, defaultOf(c), c.Effect+marks(c))
			}
		}
		if missing != nil {
			fmt.Fprintf(&b, "\nNot built yet: %s.\n", strings.Join(missing, ", "))
		}
		fmt.Fprintf(&b, "\nWithout effect: %s.\n", strings.Join(without, ", "))
	}
	return b.String()
}

func defaultOf(c *configs.Config) string {
	switch {
	case c.Default == nil:
		return "null"
	case *c.Default == "":
		return "empty"
	}
	return "`" + *c.Default + "`"
}

func marks(c *configs.Config) string {
	switch {
	case c.Scope != configs.Broker, c.Update == configs.ClusterWide:
		return ""
	case c.Update == configs.PerBroker:
		return " (one broker only)"
	}
	return " (read-only)"
}

// TestDocument keeps docs/CONFIGS.md as the catalogue has it.
func TestDocument(t *testing.T) {
	t.Parallel()
	want := document(t)
	if *update {
		if err := os.MkdirAll("../../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(documentPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the catalogue says; go test ./server/configs -run TestDocument -update writes it", documentPath)
	}
}
