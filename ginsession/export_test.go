// What only tests may do.

package ginsession

// TestOnlyCheapHashes lets passwords be hashed in no time.
func (m *Manager) TestOnlyCheapHashes() { m.TestOnlyHashCost(8, 1) }

// TestOnlyHashCost sets the memory in KiB and the passes of a hash.
func (m *Manager) TestOnlyHashCost(memory, passes uint32) {
	m.accounts.hasher.memory, m.accounts.hasher.time = memory, passes
}

// TestOnlyHashes returns how many passwords have been hashed.
func (m *Manager) TestOnlyHashes() int64 { return m.accounts.hasher.turns.Load() }

// TestOnlyBusy keeps every place where passwords are hashed until free is called.
func (m *Manager) TestOnlyBusy() (free func()) {
	slots := m.accounts.hasher.slots
	for range cap(slots) {
		slots <- struct{}{}
	}
	return func() {
		for range cap(slots) {
			<-slots
		}
	}
}
