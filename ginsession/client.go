// Where a request comes from.

package ginsession

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"github.com/gin-gonic/gin"
)

// Addresses says how much of a client's address is kept, in rows, events and the
// log.
type Addresses int

// The values of [Addresses].
const (
	AddressFull      Addresses = iota
	AddressTruncated           // the network: /24 of IPv4, /48 of IPv6
	AddressNone                // nothing
)

// text returns what is kept of an address.
func (keep Addresses) text(address netip.Addr) string {
	switch {
	case !address.IsValid() || keep == AddressNone:
		return ""
	case keep == AddressFull:
		return address.String()
	case address.Is4():
		return networkOf(address, 24)
	default:
		return networkOf(address, 48)
	}
}

func networkOf(address netip.Addr, bits int) string {
	network, _ := address.Prefix(bits) // never more bits than it has
	return network.Masked().Addr().String()
}

// clientOf says where a request comes from, as far as that is kept. It warns once of
// a proxy that nobody has told the engine of: all clients are one source then.
func (m *Manager) clientOf(c *gin.Context) client {
	if len(c.Request.Header["X-Forwarded-For"]) > 0 && !m.warned.Load() && trustsEverybody(c) && !m.warned.Swap(true) {
		m.cfg.Logger.Warn("ginsession: X-Forwarded-For came and is not believed: behind a proxy call SetTrustedProxies of the engine, or all clients share one limit of failures")
	}
	by := client{ip: m.cfg.Addresses.text(addressOf(c)), agent: printable(c.Request.UserAgent(), 256)}
	if v := m.visitOf(c); v != nil && v.found != nil { // what is known is nobody's in another's name
		by.actor = v.found.row.Actor
	}
	return by
}

// addressOf returns the address of the client, invalid if it is not known. It is
// that of the peer, because what a header says of it is anybody's to write. Only
// an engine that was told which proxies to trust is asked, with Gin's ClientIP; by
// itself Gin trusts everybody.
func addressOf(c *gin.Context) netip.Addr {
	text := c.RemoteIP()
	if said := c.ClientIP(); said != text && !trustsEverybody(c) {
		text = said
	}
	address, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

// trustsEverybody reports whether the engine believes a header of a peer that
// nobody has on a list: then its SetTrustedProxies was not called.
func trustsEverybody(c *gin.Context) bool {
	const stranger, other = "203.0.113.77", "198.51.100.77" // RFC 5737: for documentation only
	probe := c.Copy()
	probe.Request = &http.Request{
		RemoteAddr: stranger + ":1",
		Header:     http.Header{"X-Forwarded-For": {other}, "X-Real-Ip": {other}},
	}
	return probe.ClientIP() == other
}

// printable returns the first n characters of s, with those that do not print
// replaced.
func printable(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if n--; n < 0 {
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}
