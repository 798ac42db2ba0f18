package handlers

import (
	"net"
	"syscall"
)

// arrived reports whether something has come from the client that nobody has read yet.
// It does not wait, and takes nothing away from who reads.
func arrived(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	// Control and not Read: that would wait behind who is reading.
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}
