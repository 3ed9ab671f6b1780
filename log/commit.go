package log

import (
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// commit runs the requests in one transaction. One that fails is left out, and
// the others are run again without it.
func (d *DB) commit(group []*request) {
	if err := d.beforeCommit(group); err != nil {
		for _, r := range group {
			r.err = err
		}
		return
	}
	live := group
	for len(live) > 0 {
		t := &txn{db: d}
		err := d.update(func(tx *bolt.Tx) error { return t.runAll(tx, live) })
		if err == nil || errors.Is(err, errNothing) {
			d.committed(t, live, err == nil)
			return
		}
		if !errors.Is(err, errRedo) {
			for _, r := range live {
				if r.err == nil {
					r.err = err
				}
			}
			return
		}
		var rest []*request
		for _, r := range live {
			if r.err == nil {
				rest = append(rest, r)
			}
		}
		live = rest
	}
}

// errRedo gives a transaction up because one of its requests failed midway.
var errRedo = errors.New("log: run the others again")

// beforeCommit asks the disk. A sync that fails here fails those alone that
// asked for it, and makes no sync point.
func (d *DB) beforeCommit(group []*request) error {
	if d.opts.BeforeCommit != nil {
		bytes := 0
		for _, r := range group {
			bytes += r.bytes
		}
		if err := d.opts.BeforeCommit(bytes); err != nil {
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
	}
	if d.opts.BeforeSync == nil || !slices.ContainsFunc(group, func(r *request) bool { return r.sync }) {
		return nil
	}
	if err := d.opts.BeforeSync(); err != nil {
		for _, r := range group {
			if r.sync {
				r.err = fmt.Errorf("%w: %w", ErrDisk, err)
			}
		}
	}
	return nil
}

// runAll makes the changes of the requests that have not failed.
func (t *txn) runAll(tx *bolt.Tx, group []*request) error {
	t.tx = tx
	t.nowMs = t.db.opts.Now().UnixMilli()
	sync := false
	for _, r := range group {
		if r.err != nil {
			continue
		}
		before := t.changes
		if r.err = r.run(t); r.err != nil {
			if t.changes != before {
				return errRedo
			}
			continue
		}
		sync = sync || r.sync
	}
	if t.changes == 0 && (!sync || !t.db.unsynced) {
		return errNothing
	}
	return t.finish(sync)
}

// errNothing gives up a transaction that would change nothing.
var errNothing = errors.New("log: nothing to commit")

// committed publishes the transaction and syncs the file where asked.
func (d *DB) committed(t *txn, group []*request, written bool) {
	var err error
	asked := slices.ContainsFunc(group, func(r *request) bool { return r.sync && r.err == nil })
	if asked && written && d.bolt.NoSync {
		err = guard(d.bolt.Sync)
	}
	t.publish()
	switch {
	case asked && err == nil:
		d.markSynced()
	case written:
		d.unsynced = true
	}
	for _, r := range group {
		if r.sync && r.err == nil {
			r.err = err
		}
	}
}
