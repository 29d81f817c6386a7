package ginsession

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPasswordHash(t *testing.T) {
	h := newHasher()
	encoded, err := h.hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, encoded)
	again, err := h.hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.NotEqual(t, encoded, again, "every hash has a salt of its own")

	for password, want := range map[string]bool{
		"correct horse": true, "correct horsE": false, "correct horse ": false, "": false, "correct\x00horse": false,
	} {
		ok, _, err := h.verify(t.Context(), encoded, password)
		require.NoError(t, err)
		require.Equal(t, want, ok, password)
	}
	long := strings.Repeat("x", 72)
	encoded, err = h.hash(t.Context(), long)
	require.NoError(t, err)
	ok, _, err := h.verify(t.Context(), encoded, long+"suffix")
	require.NoError(t, err)
	require.False(t, ok, "nothing is cut off")
}

// A hash that other software made with other parameters: argon2 -id of the
// reference implementation, as the command
// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24 prints it.
func TestPasswordHashOfOthers(t *testing.T) {
	ok, _, err := newHasher().verify(t.Context(), "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password")
	require.NoError(t, err)
	require.True(t, ok)
}

func TestMalformedHashIsNoSuccess(t *testing.T) {
	for _, encoded := range []string{
		"x", "$", "$argon2id$v=19$m=8,t=1,p=1$$", "$argon2i$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=18$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=0,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=1,p=0$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=1,p=256$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=4294967295,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=4294967295,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg",
		"$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMw",
		"$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg$",
	} {
		ok, _, err := newHasher().verify(t.Context(), encoded, "")
		require.Error(t, err, encoded)
		require.False(t, ok)
	}
}

func TestHashesWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher()
		slots := cap(h.slots)
		for range slots { // every processor is busy
			h.slots <- struct{}{}
		}
		start := time.Now()
		_, _, err := h.verify(t.Context(), "", "x")
		require.ErrorIs(t, err, ErrRateLimited)
		require.Equal(t, hashWait, time.Since(start))

		var done atomic.Int32
		var group sync.WaitGroup
		for range 2 * slots {
			group.Go(func() {
				if _, _, err := h.verify(t.Context(), "$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg", "x"); err == nil {
					done.Add(1)
				}
			})
		}
		time.Sleep(hashWait / 2)
		require.Zero(t, done.Load())
		for range slots {
			<-h.slots
		}
		group.Wait()
		require.EqualValues(t, 2*slots, done.Load())
	})
}
