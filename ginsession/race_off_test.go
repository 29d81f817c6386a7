//go:build !race

package ginsession

// RaceDetector says that the tests run with it, and take ten times as long.
const RaceDetector = false
