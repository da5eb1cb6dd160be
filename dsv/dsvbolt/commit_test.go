package dsvbolt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// BenchmarkCommit has variables recorded and flushed, and after each flush writes as many bytes in as many steps to
// another file, each of them synchronised twice, as a transaction is. It tells how many times as long the transactions
// took, the longest one of either, and how much of the longest was not writing.
func BenchmarkCommit(b *testing.B) {
	for _, vars := range []int{1, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("%d variables", vars), func(b *testing.B) {
			f := newFeed(b, vars)
			must(b, f.db.Flush())
			bare, err := os.Create(filepath.Join(b.TempDir(), "bare"))
			must(b, err)
			defer bare.Close()
			first, last := f.db.Stats(), f.db.Stats()
			var spent, longest time.Duration
			for b.Loop() {
				for range max(20, vars/len(f.deltas)) {
					f.sync(b)
				}
				must(b, f.db.Flush())
				now := f.db.Stats()
				commits := now.Commits - last.Commits
				for range commits {
					took := writeBare(b, bare, int(now.Bytes-last.Bytes)/commits)
					spent, longest = spent+took, max(longest, took)
				}
				last = f.db.Stats()
			}
			commits := float64(last.Commits - first.Commits)
			b.ReportMetric((last.Spent-first.Spent).Seconds()/spent.Seconds(), "times-bare")
			b.ReportMetric((last.Spent-first.Spent).Seconds()*1e3/commits, "ms/commit")
			b.ReportMetric(last.Longest.Seconds()*1e3, "ms/longest-commit")
			b.ReportMetric(longest.Seconds()*1e3, "ms/longest-bare")
			b.ReportMetric(last.LongestOwn.Seconds()*1e3, "ms/longest-own")
			b.ReportMetric(float64(last.Bytes-first.Bytes)/commits/1e3, "kB/commit")
			must(b, f.s.Close())
			must(b, f.db.Close())
		})
	}
}

// writeBare appends so many bytes and synchronises them, then rewrites a page and synchronises that.
func writeBare(b *testing.B, f *os.File, size int) time.Duration {
	b.Helper()
	data := make([]byte, size)
	began := time.Now()
	_, err := f.Write(data)
	must(b, err)
	must(b, syscall.Fdatasync(int(f.Fd())))
	_, err = f.WriteAt(data[:min(size, 4096)], 0)
	must(b, err)
	must(b, syscall.Fdatasync(int(f.Fd())))
	return time.Since(began)
}
