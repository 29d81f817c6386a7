//go:build !race

package ginsession_test

const raceDetector = false
