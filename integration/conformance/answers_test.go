package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance"
	"github.com/minikafka/minikafka/integration/conformance/wire"
	"github.com/minikafka/minikafka/integration/reference"
)

// answersFile holds what Apache Kafka answers to the script, one call a line.
var answersFile = filepath.Join("testdata", "answers-"+reference.Version+".jsonl") //nolint:gochecknoglobals // It does not change.

// call is one request of the script.
type call struct {
	label string // what is asked, beside the API and its version
	req   kmsg.Request
	// ready, when set, says that the answer is the one to compare: until then brokers may not have heard of a change.
	ready func(kmsg.Response) bool

	needs  []kmsg.Key          // APIs whose calls it follows on
	before func()              // makes ready for the call; nil like the others where there is nothing to do
	fill   func(kmsg.Request)  // puts into it what earlier answers told
	then   func(kmsg.Response) // learns from the answer
	on     func() *wire.Conn   // the connection; nil for one of its own
}

func (c call) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s v%d %s", kmsg.NameForKey(c.req.Key()), c.req.GetVersion(), c.label))
}

// served says whether the call's API is offered, and those that it follows on.
func (c call) served(offered map[int16]bool) bool {
	for _, key := range c.needs {
		if !offered[int16(key)] {
			return false
		}
	}
	return offered[c.req.Key()]
}

// answered is one line of the file: a call, and the decoded answer without what differs from run to run.
type answered struct {
	Call   string `json:"call"`
	Answer any    `json:"answer"`
}

// TestAnswers sends the script, every API in its lowest and highest version with good and bad arguments, to a new cluster, and
// compares each answer with Apache Kafka's, field by field. With -target=reference -update it writes down what that
// answers.
func TestAnswers(t *testing.T) {
	target := chosenTarget(t)
	if !target.Configs || *rowsFlag != "" {
		t.Skip("the script needs a cluster of its own, as it is when it is new")
	}
	got := askAll(t, target)
	if *updateFlag {
		if target.Name == "reference" {
			writeAnswers(t, got)
		}
		return
	}
	compare(t, target, readAnswers(t), got)
}

// compare holds the answers to those of Apache Kafka, and the exceptions to the differences that there are.
func compare(t *testing.T, target conformance.Target, want map[string]any, got []answered) {
	t.Helper()
	asked, used := map[string]bool{}, map[int]bool{}
	for _, a := range got {
		asked[a.Call] = true
		t.Run(a.Call, func(t *testing.T) {
			kafka, ok := want[a.Call]
			if !ok {
				t.Fatal("Apache Kafka's answer is not known: run with -target=reference -update")
			}
			if a.Answer == pending {
				t.Skip("pending: " + pending)
			}
			var known []string
			for _, d := range differences("", kafka, a.Answer) {
				if i := tolerated(target, a.Call, d.path); i >= 0 {
					used[i] = true
					known = append(known, fmt.Sprintf("%s (%s)", d, exceptions()[i].why))
					continue
				}
				t.Error(d)
			}
			if len(known) > 0 {
				t.Skipf("differs, as is known:\n%s", strings.Join(known, "\n"))
			}
		})
	}
	for name := range want {
		if !asked[name] {
			t.Errorf("%s is in %s and not in the script", name, answersFile)
		}
	}
	for i, e := range exceptions() {
		if e.software == target.Software && !used[i] {
			t.Errorf("no answer to %q differs in %q any more: the exception can go", e.call, e.paths)
		}
	}
}

// askAll starts a cluster, prepares it, and sends the script to its first broker.
func askAll(t *testing.T, target conformance.Target) []answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	cluster, err := target.Start(ctx, conformance.Config{Defaults: true})
	if err != nil {
		t.Fatalf("starting %s: %v", target.Software, err)
	}
	defer func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	}()
	offered, err := conformance.Offered(ctx, cluster)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{target: target, cluster: cluster, offered: offered}
	var out []answered
	failure := runRow(r.env(t, "answers", nil), func(e *env) {
		for _, c := range e.script() {
			if !c.served(offered) {
				out = append(out, answered{c.name(), pending})
				continue
			}
			out = append(out, answered{c.name(), e.answerTo(c)})
		}
	})
	if failure != "" {
		t.Fatal(failure)
	}
	return out
}

// pending stands for the answer to a call of an API that is not offered.
const pending = "the API is not offered"

// answerTo sends a call to broker A and returns the answer as plain JSON, or a word for an answer that there is not.
func (e *env) answerTo(c call) any {
	if c.before != nil {
		c.before()
	}
	if c.fill != nil {
		c.fill(c.req)
	}
	send := func() (kmsg.Response, error) {
		if c.on != nil {
			return c.on().Request(c.req)
		}
		return e.try(e.A, c.req)
	}
	resp, err := send()
	if err == nil && c.ready != nil {
		e.wait("the answer to "+c.name(), func() error {
			resp, err = send()
			return is("is it up to date", err == nil && c.ready(resp), true)
		})
	}
	switch {
	case errors.Is(err, wire.ErrClosed):
		return "the connection is closed"
	case err != nil:
		e.fatalf("%s: %v", c.name(), err)
	}
	if c.then != nil {
		c.then(resp)
	}
	b, err := json.Marshal(resp)
	if err != nil {
		e.fatalf("%s: %v", c.name(), err)
	}
	return plain("", decode(b))
}

// decode reads JSON with numbers as they are written.
func decode(b []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(err) // It was encoded by this program.
	}
	return v
}

func writeAnswers(t *testing.T, answers []answered) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, a := range answers {
		if err := enc.Encode(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(answersFile, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readAnswers(t *testing.T) map[string]any {
	t.Helper()
	b, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]any{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, len(b)+1)
	for lines.Scan() {
		line := decode(lines.Bytes()).(map[string]any)
		answers[line["call"].(string)] = line["answer"]
	}
	return answers
}

// difference is a field that is not as Apache Kafka has it.
type difference struct {
	path      string
	want, got string
}

func (d difference) String() string {
	return fmt.Sprintf("%s: got %s, want %s", d.path, d.got, d.want)
}

// differences compares two answers field by field. Elements of arrays have been sorted; those that have a name are compared
// with their namesakes.
func differences(at string, want, got any) []difference {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return mapDifferences(at, w, g)
		}
	case []any:
		if g, ok := got.([]any); ok {
			return mapDifferences(at, byName(w), byName(g))
		}
	default:
		if text(want) == text(got) {
			return nil
		}
	}
	return []difference{{at, text(want), text(got)}}
}

func mapDifferences(at string, want, got map[string]any) (out []difference) {
	for name := range union(want, got) {
		w, inWant := want[name]
		g, inGot := got[name]
		switch {
		case !inGot:
			out = append(out, difference{path.Join(at, name), text(w), "nothing"})
		case !inWant:
			out = append(out, difference{path.Join(at, name), "nothing", text(g)})
		default:
			out = append(out, differences(path.Join(at, name), w, g)...)
		}
	}
	return out
}

func union(a, b map[string]any) map[string]bool {
	all := map[string]bool{}
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}

// byName turns an array into a map by what its elements are called, or by their place.
func byName(list []any) map[string]any {
	out := map[string]any{}
	for i, v := range list {
		name := fmt.Sprint(i)
		if m, ok := v.(map[string]any); ok {
			for _, key := range []string{"Name", "Topic", "ResourceName", "Partition", "NodeID", "ApiKey"} {
				if n, ok := m[key]; ok && n != nil && text(n) != `""` {
					name = strings.Trim(text(n), `"`)
					break
				}
			}
		}
		if _, taken := out[name]; taken {
			name = fmt.Sprintf("%s#%d", name, i)
		}
		out[name] = v
	}
	return out
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // It was decoded by this program.
	}
	return string(b)
}
