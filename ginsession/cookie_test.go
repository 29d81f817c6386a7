package ginsession

import (
	"strings"
	"testing"
)

// A line costs one pass, however often it has the cookie.
func TestALineIsCutInOnePass(t *testing.T) {
	k := newCookie("session", false)
	line := "a=b; " + strings.Repeat(k.name+"=x; ", 50_000) + "z=y"
	var others string
	var count int
	allocs := testing.AllocsPerRun(3, func() { others, _, count = k.cut(line) })
	if others != "a=b; z=y" || count != 50_000 || allocs > 2 {
		t.Errorf("%q, %d times, %v allocations", others, count, allocs)
	}
}
