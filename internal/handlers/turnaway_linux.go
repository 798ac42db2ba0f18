package handlers

import (
	"net"
	"os"
	"syscall"
)

// turnAway has the kernel drop the first packet of new connections to l; those that have
// got further go on. Linux cannot do that for Multipath TCP, which Go's listeners speak unless
// they are told not to. What cannot be done is left: a connection or two may be reset then.
func turnAway(l net.Listener) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	const flags, syn, ack = 13, 0x02, 0x10 // RFC 9293, section 3.1
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.AttachLsf(int(fd), []syscall.SockFilter{ //nolint:staticcheck // it does what is needed without a module
			{Code: syscall.BPF_LD | syscall.BPF_B | syscall.BPF_ABS, K: flags},
			{Code: syscall.BPF_ALU | syscall.BPF_AND | syscall.BPF_K, K: syn | ack},
			{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jf: 1, K: syn},
			{Code: syscall.BPF_RET | syscall.BPF_K},
			{Code: syscall.BPF_RET | syscall.BPF_K, K: 0xffffffff},
		})
	})
}

// leftOver returns the connections to l that nobody has accepted yet.
func leftOver(l net.Listener) (conns []net.Conn) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			accepted, _, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			file := os.NewFile(uintptr(accepted), "")
			if conn, err := net.FileConn(file); err == nil {
				conns = append(conns, conn)
			}
			_ = file.Close()
		}
	})
	return conns
}
