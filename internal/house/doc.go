// Package house holds no code: its tests keep the house of DESIGN.md in order.
// They parse every Go file of the module (a `go list` would be cached) and
// check who imports whom, that every package says what it is for, and that
// files and packages keep a size a person can read.
package house
