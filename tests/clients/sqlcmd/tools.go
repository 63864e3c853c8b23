//go:build tools

// Package tools pins Microsoft's sqlcmd (go-sqlcmd), a test client that is a program of its own: go.mod and go.sum hold
// its version and those of all it needs, ../setup builds it.
package tools

import _ "github.com/microsoft/go-sqlcmd/cmd/modern"
