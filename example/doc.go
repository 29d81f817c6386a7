// Command example is a small site with sign-in and roles, to try out and to
// copy from.
//
//	go run ./example
//
// It starts on an SQLite file, prints its address and who may sign in, and ends
// with Ctrl-C. The file to copy from first is routes.go; all that must not be
// copied is in demo.go. To see a session refreshed, and then expire:
//
//	go run ./example -max-age 60s -refresh 40s
//
// With GIN_MODE=release it demands JWT_SECRET, sets cookies for https, and makes
// no accounts unless told to with -password.
package main
