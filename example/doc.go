// Command example is a small site with sign-in and roles, to try out and to
// copy from.
//
//	go run ./example
//
// It starts on an SQLite file, prints its address and who may sign in, and ends
// with Ctrl-C. The file to copy from first is routes.go; then site.go, headers.go
// and the pages that you need. What must not be copied is in files that say so:
// demo.go, and lab.go with its template and its script. To see a session refreshed,
// and then expire:
//
//	go run ./example -max-age 60s -refresh 40s
//
// -idle, -absolute, -fresh, -max-sessions and -sync make other limits short. All
// pages work without JavaScript but the lab and /react; with it they follow the
// session while it runs.
//
// With GIN_MODE=release it demands JWT_SECRET, sets cookies for https, has
// no lab, and makes no accounts unless told to with -password.
package main
