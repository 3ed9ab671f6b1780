package conformance_test

import (
	"cmp"
	"context"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/minikafka/minikafka/integration/conformance"
	"github.com/minikafka/minikafka/integration/reference"
)

// The flags of a run.
//
//nolint:gochecknoglobals // Flags are registered before the tests are.
var (
	targetFlag = flag.String("target", os.Getenv("MINIKAFKA_TARGET"), "what to run against: minikafka (the default), serve, reference, kfake, or host:port,host:port of a running cluster")
	rowsFlag   = flag.String("rows", "", "run only these rows: ids, separated by commas")
	quickFlag  = flag.Bool("quick", false, "of the rows that break nodes run one of each kind")
	updateFlag = flag.Bool("update", false, "write the results to testdata, and docs/CONFORMANCE.md")
)

// row is one line of the conformance table.
type row struct {
	id    string
	title string
	// during names the situation that the row takes part in; empty for rows that leave the cluster alone.
	during string
	// withoutELR asks for a cluster without eligible leader replicas.
	withoutELR bool
	// defaults asks for a cluster with Apache Kafka's own defaults.
	defaults bool
	// tuned says that with Kafka's own defaults the row would take too long.
	tuned bool
	// apis are what the row asks that a target may not offer. It is pending until they are all offered.
	apis []kmsg.Key
	// needs are verbs beyond those of the situation.
	needs []conformance.Verb
	// unstaged says why the row cannot be run anywhere; it is listed all the same.
	unstaged string
	run      func(e *env)
}

func (r row) config() conformance.Config {
	return conformance.Config{WithoutELR: r.withoutELR, Defaults: r.defaults}
}

// rows returns the whole table, in the order of the ids.
func rows() []row {
	all := slices.Concat(produceRows(), idempotenceRows(), electionRows(), lastReplicaRows(), fetchRows(), metadataRows(), groupRows(), shareRows(), transactionRows())
	slices.SortStableFunc(all, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	return all
}

// TestConformance runs the table against the target.
func TestConformance(t *testing.T) {
	target := chosenTarget(t)
	seen := &outcomes{target: target, known: readResults(t, target), seen: map[string]result{}}
	if target.Fresh {
		allAtOnce(t, seen, groups(target))
	} else {
		r := &run{target: target, outcomes: seen}
		for _, g := range groups(target) {
			r.group(t, g)
		}
		r.close(t)
	}
	if *updateFlag && !*quickFlag {
		seen.write(t)
	}
}

// parallelGroups bounds how many clusters a target runs at once that starts one for each group of rows.
const parallelGroups = 4

// allAtOnce runs each group on a cluster of its own.
func allAtOnce(t *testing.T, seen *outcomes, groups []rowGroup) {
	slots := make(chan struct{}, parallelGroups)
	var wg sync.WaitGroup
	for _, g := range groups {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			r := &run{target: seen.target, outcomes: seen}
			r.group(t, g)
			r.close(t)
		})
	}
	wg.Wait()
}

func chosenTarget(t *testing.T) conformance.Target {
	t.Helper()
	target, err := conformance.FindTarget(cmp.Or(*targetFlag, "minikafka"))
	if err != nil {
		t.Fatal(err)
	}
	if target.Name == "reference" {
		reference.Require(t)
	}
	return target
}

// rowGroup is the rows that run side by side on one cluster.
type rowGroup struct {
	situation situation
	config    conformance.Config
	rows      []row
}

func (g rowGroup) name() string {
	name := cmp.Or(g.situation.name, "healthy")
	if g.config.WithoutELR {
		name += ", without eligible leader replicas"
	}
	if g.config.Defaults {
		name += ", with Kafka's defaults"
	}
	return name
}

// groups sorts the rows that the target can run into groups: those on one cluster together, the harmless ones first.
func groups(target conformance.Target) []rowGroup {
	var out []rowGroup
	for _, config := range []conformance.Config{{}, {WithoutELR: true}, {Defaults: true}} {
		for _, s := range append([]situation{{}}, situations()...) {
			g := rowGroup{situation: s, config: config}
			for _, r := range rows() {
				if r.during == s.name && r.config() == config && wanted(r) && notApplicable(target, r, s) == "" {
					g.rows = append(g.rows, r)
				}
			}
			if *quickFlag {
				g.rows = quickRows(g)
			}
			if len(g.rows) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}

// quickRows are the rows of a group that -quick runs.
func quickRows(g rowGroup) []row {
	switch {
	case g.situation.name == "":
		return g.rows
	case g.situation.kind && g.config == conformance.Config{}:
		return g.rows[:min(len(g.rows), 1)]
	}
	return nil
}

func wanted(r row) bool {
	return *rowsFlag == "" || slices.Contains(strings.Split(*rowsFlag, ","), r.id)
}

// notApplicable says why the target cannot run a row, or nothing.
func notApplicable(target conformance.Target, r row, s situation) string {
	if r.unstaged != "" {
		return r.unstaged
	}
	if r.withoutELR && !target.Configs {
		return "eligible leader replicas cannot be switched"
	}
	if r.defaults && !target.Configs {
		return "it cannot be started with Kafka's defaults"
	}
	if r.tuned && target.Found {
		return "it would take minutes with the properties of a cluster that is there already"
	}
	if why := target.Unable[s.name]; why != "" {
		return why
	}
	if (s.name == noController || s.name == anExpansionHangs) && !target.Controllers {
		return "the controller is out of reach"
	}
	for _, v := range slices.Concat(s.needs, r.needs) {
		if !target.Can(v) {
			return without(v)
		}
	}
	return ""
}

// without says what a target cannot do that lacks a verb.
func without(v conformance.Verb) string {
	switch v {
	case conformance.Kill, conformance.Start:
		return "its nodes are out of reach"
	case conformance.Stop:
		return "its brokers cannot be shut down in an orderly way"
	case conformance.Pause, conformance.Resume:
		return "its brokers cannot be paused"
	case conformance.Isolate, conformance.Rejoin:
		return "its brokers cannot be cut off from each other"
	case conformance.CutController:
		return "its brokers cannot be cut off from the controllers alone"
	case conformance.HoldReplication:
		return "its followers cannot be kept from copying"
	case conformance.FailDisk, conformance.MendDisk:
		return "its disks cannot be made to fail"
	}
	return "it cannot " + string(v)
}

// outcomes are what a run of the table saw, and what is known.
type outcomes struct {
	target conformance.Target
	known  map[string]result
	mu     sync.Mutex // guards seen
	seen   map[string]result
}

// run runs groups of rows against a target, one after the other.
type run struct {
	*outcomes
	target  conformance.Target
	config  conformance.Config
	cluster conformance.Cluster // nil until it is needed, and after it was spoilt
	offered map[int16]bool      // the keys that the cluster's ApiVersions names
}

// parallelRows bounds how many rows without a situation run at once.
const parallelRows = 8

func (r *run) group(t *testing.T, g rowGroup) {
	t.Run(g.name(), func(t *testing.T) {
		r.start(t, g.config)
		g.rows = r.serveable(t, g.rows)
		stage := newStage(g.situation.steps, len(g.rows), r.env(t, "staging", nil))
		slots := make(chan struct{}, parallelRows)
		if g.situation.name != "" {
			slots = make(chan struct{}, len(g.rows)) // They wait for each other.
		}
		var wg sync.WaitGroup
		for _, row := range g.rows {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				defer stage.leave() // Also of a row that -run leaves out.
				t.Run(row.id, func(t *testing.T) { r.row(t, row, stage) })
			})
		}
		wg.Wait()
		if stage.failed != "" {
			t.Errorf("staging: %s", stage.failed)
			r.close(t)
		}
	})
}

// serveable keeps the rows whose APIs the cluster offers; the others are pending.
func (r *run) serveable(t *testing.T, rows []row) (out []row) {
	for _, row := range rows {
		var missing []string
		for _, key := range row.apis {
			if !r.offered[int16(key)] {
				missing = append(missing, key.Name())
			}
		}
		if len(missing) == 0 {
			out = append(out, row)
			continue
		}
		t.Run(row.id, func(t *testing.T) {
			r.judge(t, row, result{Pending: strings.Join(missing, ", ") + " not offered yet"})
		})
	}
	return out
}

// row runs one row and compares the outcome with the one that is known.
func (r *run) row(t *testing.T, row row, stage *stage) {
	start := time.Now()
	seen := result{Differs: r.target.Differs[row.id]}
	if seen.Differs == "" {
		e := r.env(t, row.id, stage)
		seen = result{Differs: tidy(runRow(e, row.run)), Detail: e.slip}
	}
	t.Logf("%s (%.1fs)", row.title, time.Since(start).Seconds())
	r.judge(t, row, seen)
}

// judge compares an outcome with the one that is known, and notes it.
func (r *run) judge(t *testing.T, row row, seen result) {
	r.mu.Lock()
	r.seen[row.id] = seen
	r.mu.Unlock()
	known := r.known[row.id]
	switch {
	case seen.Pending != "" && r.target.Found: // Nothing is known of it.
		t.Skipf("pending: %v", seen)
	case seen.word() != known.word() && !*updateFlag:
		t.Errorf("%s: %v; known is %q: %v", seen.word(), seen, known.word(), known)
	case seen.word() != "yes":
		t.Skipf("%s: %v", seen.word(), seen)
	}
}

func (r *run) env(t *testing.T, id string, stage *stage) *env {
	ids := slices.Sorted(maps.Keys(r.cluster.Addrs()))
	return &env{t: t, id: id, target: r.target, cluster: r.cluster, stage: stage, offered: r.offered, A: ids[0], B: ids[1], C: ids[2]}
}

// startWithin bounds the start of a cluster.
const startWithin = 3 * time.Minute

// start makes sure that a cluster as config asks is running.
func (r *run) start(t *testing.T, config conformance.Config) {
	t.Helper()
	if r.cluster != nil && r.config == config && !r.target.Fresh {
		return
	}
	r.close(t)
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	cluster, err := r.target.Start(ctx, config)
	if err != nil {
		t.Fatalf("starting %s: %v", r.target.Software, err)
	}
	r.cluster, r.config = cluster, config
	if r.offered, err = conformance.Offered(ctx, cluster); err != nil {
		t.Fatalf("asking for the APIs: %v", err)
	}
	if n := len(cluster.Addrs()); n < 3 {
		t.Fatalf("the cluster has %d brokers, the rows need three", n)
	}
}

func (r *run) close(t *testing.T) {
	if r.cluster == nil {
		return
	}
	if err := r.cluster.Close(); err != nil {
		t.Errorf("closing %s: %v", r.target.Software, err)
	}
	r.cluster = nil
}
