// Secrets and names of sessions, born by many at once.

package ginsession

import (
	"slices"
	"sync"
	"testing"
)

// Row C90 of the security bar.
func TestSecretsDoNotRepeat(t *testing.T) {
	const workers, each = 64, 10_000
	born := make([][]string, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for range each / 2 {
				born[w] = append(born[w], newSecret(), string(newID()))
			}
		})
	}
	all.Wait()
	texts := slices.Concat(born...)
	slices.Sort(texts)
	if distinct := len(slices.Compact(texts)); distinct != workers*each {
		t.Errorf("%d of %d are different", distinct, workers*each)
	}
}
