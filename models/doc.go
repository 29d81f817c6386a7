// Package models holds the database rows of gin-session as GORM models, and
// [Migrate], which makes their tables. It runs no queries.
//
// Two column types keep the rows equal on every database. [Exact] is text
// that compares byte for byte, whatever the collation of the database is.
// [Time] is an instant in UTC, stored as an integer, so that no time zone of
// a connection, no precision of a column and no driver can move it.
package models
