// Package browsertest shows what only a browser can show: the example program and
// the client of package browser in a real Chromium. It holds tests alone, and is a
// module of its own so that nobody who uses gin-session gets its driver.
//
//	cd ginsession/browser/browsertest && go test -v .
//
// The tests are skipped where there is no Chromium or Chrome. With
// GINSESSION_SCREENSHOTS=FOLDER they leave pictures of the pages there.
package browsertest
