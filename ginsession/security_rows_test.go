// That no row of the security bar is left out unseen.

package ginsession_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each of the rows C1 to C155 and A1 to A190 is a subtest that carries its number, or
// stands in one of the listings: with the test that shows it, with the reason why it
// does not apply, or as a statement of the documents, which TestSecurityDocuments
// looks for.
const (
	lastOfChecklist = 155
	lastOfCatalogue = 190

	inDocuments = "documents"
)

// rowsOfLater are rows that tests show which are in no file of a part.
var rowsOfLater = map[string]string{
	"A73":  "TestRevokeAll",
	"A93":  "TestParallelSignInsKeepToTheLimit",
	"A166": "TestSecurityAHangingDatabase",
	"A167": "TestSecurityAClientThatHangsUp",
	"C2":   "TestOneTooManyEndsTheLeastRecentlyUsed",
	"C12":  "TestChangePasswordEndsTheOthers",
	"C14":  "TestAdminEndsSessions",
	"C15":  "TestRequireFresh",
	"C16":  "TestDevicesBehindRequireFresh",
	"C17":  "TestRequireFreshOfAMoment",
	"C61":  "TestRevokeEndsAnotherOwnSession",
}

func listings() map[string]string {
	all := map[string]string{}
	for _, part := range []map[string]string{rowsOfToken, rowsOfLife, rowsOfEdge, rowsOfFaults, rowsOfLogin, rowsOfLater} {
		maps.Copy(all, part)
	}
	return all
}

func TestSecurityRowsAreAllThere(t *testing.T) {
	numbered, tests := numberedSubtests(t)
	listed := listings()
	var missing []string
	count := map[string]int{}
	for letter, last := range map[string]int{"C": lastOfChecklist, "A": lastOfCatalogue} {
		for n := 1; n <= last; n++ {
			row := letter + strconv.Itoa(n)
			why, ok := listed[row]
			switch {
			case numbered[row]:
				count["a subtest"]++
			case !ok && len(statements[row]) > 0:
				count["a statement of the documents"]++
			case !ok:
				missing = append(missing, row)
			case why == inDocuments:
				count["a statement of the documents"]++
				if len(statements[row]) == 0 {
					t.Errorf("%s: no statement is looked for", row)
				}
			default:
				named := regexp.MustCompile(`^(Test|Fuzz|Benchmark)\w+`).FindString(why)
				if named == "" {
					count["does not apply"]++
					t.Logf("%s does not apply: %s", row, why)
					continue
				}
				count["another test"]++
				if !tests[named] {
					t.Errorf("%s is said to be shown by %s, which is not there", row, named)
				}
			}
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "rows that are neither tested nor listed")
	t.Log("rows by what shows them:", count)
}

// numberedSubtests reads the tests of the repository. It returns the rows that
// subtests carry in their names, and the names of all tests.
func numberedSubtests(t *testing.T) (rows, tests map[string]bool) {
	t.Helper()
	rows, tests = map[string]bool{}, map[string]bool{}
	numbers := regexp.MustCompile(`^"[AC]\d+( [AC]\d+)*"$`)
	for _, folder := range []string{".", "internal/token", "../rbac", "../models", "ginsessiontest", "browser"} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			ast.Inspect(tree, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl:
					tests[n.Name.Name] = true
				case *ast.KeyValueExpr: // a listing, of which the value says what shows the row
					if key, ok := n.Key.(*ast.BasicLit); ok && numbers.MatchString(key.Value) {
						return false
					}
				case *ast.BasicLit:
					if n.Kind == token.STRING && numbers.MatchString(n.Value) {
						for row := range strings.FieldsSeq(strings.Trim(n.Value, `"`)) {
							rows[row] = true
						}
					}
				}
				return true
			})
		}
	}
	return rows, tests
}

// statements are what the documents say for the rows that ask them to.
var statements = map[string][]string{
	"C1":   {"`IdleTimeout`", "AAL2 should have 1 h (2.2.3), AAL3 15 min (2.3.3)", "at most 30 days"},
	"C3":   {"neither an identity provider nor a relying party", "`sessions.RevokeUser`"},
	"C13":  {"A logout control on every page"},
	"C18":  {"`auth_time`"},
	"C27":  {"cookie prefixes, SameSite and `Sec-Fetch-Site`", "held by SameSite alone"},
	"C34":  {"with HSTS"},
	"C42":  {"five failures from one source are free", "30 s doubling to 1 h", "Strangers have 80 failures in a row", "together 100", "One source (IPv6: one /64) has 30 in ten minutes"},
	"C43":  {"`Accounts().Authenticate` looks at the password", "`Open` makes the session, without a password"},
	"C57":  {"`SetPassword` ends all sessions"},
	"C59":  {"any of them pass, byte for byte", "two guards in a row need both"},
	"C65":  {"One `Manager` with its own `Audience` and `CookieName` for each tenant"},
	"C81":  {"`JWT_SECRET=old,new`", "Change it once a year"},
	"C91":  {"TLS to the database"},
	"C92":  {"`StoreTimeout`"},
	"C93":  {"SELECT, INSERT, UPDATE and DELETE on its tables"},
	"C94":  {"load it from a vault"},
	"C96":  {"nothing about the user", "`login_attempts` under MACs of names and addresses"},
	"C104": {"one a processor at a time"},
	"C112": {"| event | when | log | table |", "`authn_login_newdevice`"},
	"C132": {"// AAL2, with a second factor", "// AAL3, with a hardware key"},
	"A87":  {"a restored backup", "`sessions.RevokeAll`"},
	"A104": {"A hash of bcrypt costs another time"},
	"A133": {"cannot tell http from https"},
	"A144": {"`frame-ancestors 'none'` where a password is asked for"},
	"A185": {"`openssl rand -base64 48`", "32 hexadecimal digits hold 128 bits only"},
}

func TestSecurityDocuments(t *testing.T) {
	var text strings.Builder
	for _, file := range []string{"../README.md", "doc.go"} {
		read, err := os.ReadFile(file)
		require.NoError(t, err)
		text.Write(read)
	}
	written := strings.Join(strings.Fields(text.String()), " ")
	for number, words := range statements {
		row(t, number, "is written", func(t *testing.T) {
			for _, sentence := range words {
				require.Contains(t, written, sentence)
			}
		})
	}
}

// Every event has its line in the README.
func TestSecurityDocumentsNameEveryEvent(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	tree, err := parser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	require.NoError(t, err)
	names := 0
	ast.Inspect(tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "event") {
			name := spec.Values[0].(*ast.BasicLit).Value
			require.Contains(t, string(readme), "`"+strings.Trim(name, `"`)+"`")
			names++
		}
		return true
	})
	require.Greater(t, names, 20)
}
