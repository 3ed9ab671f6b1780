// Package cputime tells benchmarks what processor time they take.
package cputime
