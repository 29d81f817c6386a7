//go:build race

package ginsession_test

const raceDetector = true
