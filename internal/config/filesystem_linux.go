package config

import "syscall"

// unsafeFilesystem names the file system of folder when it forgets what was
// written (tmpfs) or locks badly (network ones); "" otherwise. The numbers are
// those of statfs(2).
func unsafeFilesystem(folder string) string {
	var stat syscall.Statfs_t
	if syscall.Statfs(folder, &stat) != nil {
		return ""
	}
	return map[uint32]string{
		0x01021994: "tmpfs",
		0x858458f6: "ramfs",
		0x6969:     "NFS",
		0x517b:     "SMB",
		0xff534d42: "CIFS",
		0xfe534d42: "SMB2",
		0x01021997: "9p",
	}[uint32(stat.Type)] //nolint:gosec // the numbers have 32 bits; the field is wider on some architectures
}
