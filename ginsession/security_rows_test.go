// The rows of the security bar that have no subtest, and the count of all.

package ginsession_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	checklistRows = 155
	attackRows    = 190
)

// shownBy lists rows that tests of other files show.
var shownBy = map[string]string{}

// notApplicable lists rows that do not apply, with the reason.
var notApplicable = map[string]string{}

func TestEveryRowIsTestedOrListed(t *testing.T) {
	found := map[string][]string{}
	calls := regexp.MustCompile(`\brow\((?:t, )?"((?:[AC]\d+ ?)+)"`)
	tests := map[string]bool{}
	var files []string
	for _, folder := range []string{".", "internal/token", "../models", "../rbac", "../example", ".."} {
		list, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		files = append(files, list...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, call := range calls.FindAllSubmatch(text, -1) {
			for number := range strings.FieldsSeq(string(call[1])) {
				found[number] = append(found[number], filepath.Base(file))
			}
		}
		for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			tests[string(name[1])] = true
		}
	}
	for number, test := range shownBy {
		for name := range strings.FieldsSeq(test) {
			require.True(t, tests[name], "%s: there is no %s", number, name)
		}
	}
	var missing bytes.Buffer
	counts := [3]int{}
	check := func(number string) {
		switch {
		case len(found[number]) > 0:
			counts[0]++
			require.Empty(t, notApplicable[number], "%s is tested", number)
		case shownBy[number] != "":
			counts[1]++
			require.Empty(t, notApplicable[number], "%s is tested", number)
		case notApplicable[number] != "":
			counts[2]++
		default:
			fmt.Fprintf(&missing, " %s", number)
		}
	}
	for i := range checklistRows {
		check(fmt.Sprintf("C%d", i+1))
	}
	for i := range attackRows {
		check(fmt.Sprintf("A%d", i+1))
	}
	require.Empty(t, missing.String(), "rows that are neither tested nor listed")
	t.Logf("%d rows have subtests, %d are shown by other tests, %d do not apply", counts[0], counts[1], counts[2])
}
