// The room of the watchers by itself: who is in it.

package ginsession

// TestOnlyWatchers returns how many watch, and under how many ids they are kept.
func (m *Manager) TestOnlyWatchers() (n, ids int) {
	m.watchers.mu.Lock()
	defer m.watchers.mu.Unlock()
	all := map[*watcher]struct{}{}
	for _, some := range m.watchers.byID {
		for w := range some {
			all[w] = struct{}{}
		}
	}
	return len(all), len(m.watchers.byID)
}
