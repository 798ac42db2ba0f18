//go:build torture && linux

package torture_test

import (
	"encoding/binary"
	"math/rand/v2"
)

// tear damages what follows the last commit in the log: nothing of it was confirmed, so a
// disk may have any part of it, in any order.
func tear(log []byte, r *rand.Rand) ([]byte, string) {
	end := lastCommit(log)
	if end == len(log) {
		return log, "whole"
	}
	if r.IntN(2) == 0 {
		return log[:end+r.IntN(len(log)-end)], "cut"
	}
	for i := end; i < len(log); i++ {
		if r.IntN(8) == 0 {
			log[i] ^= byte(1 + r.IntN(255))
		}
	}
	return log, "garbled"
}

// lastCommit returns where the last commit of a write-ahead log ends; the format is at
// https://sqlite.org/fileformat2.html#walformat.
func lastCommit(log []byte) int {
	const header, frameHeader = 32, 24
	if len(log) < header {
		return len(log)
	}
	size := frameHeader + int(binary.BigEndian.Uint32(log[8:]))
	salts, end := string(log[16:24]), header
	for at := header; at+size <= len(log) && string(log[at+8:at+16]) == salts; at += size {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			end = at + size
		}
	}
	return end
}
