// Copyright 2026 The Weir Authors
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// step puts the code into the vDSO of a process and the jump to it, or takes the
// jump away. The code may stay: nobody gets there then.
func step(pid int, seconds int32) (err error) {
	original, err := read(os.Getpid())
	if err != nil {
		return err
	}
	found, err := original.find()
	if err != nil {
		return err
	}
	theirs, err := read(pid)
	if err != nil {
		return err
	}
	if !bytes.Equal(found.without(theirs.bytes), found.without(original.bytes)) {
		return errors.New("its vDSO is not the one of this program: it is not of amd64, or somebody else has changed it")
	}
	code, entry := offset(seconds), jump(found.entry, found.room)
	if seconds == 0 {
		entry = original.bytes[found.entry : found.entry+uint64(len(entry))]
	}
	if theirs.has(found.entry, entry) && (seconds == 0 || theirs.has(found.room, code)) {
		return nil
	}
	resume, err := halt(pid, theirs.begin+found.entry, len(entry))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resume()) }()
	if again, err := read(pid); err != nil || again.begin != theirs.begin {
		return errors.Join(errors.New("it has become another program meanwhile"), err)
	}
	// The code before what leads to it.
	return errors.Join(write(pid, theirs.begin+found.room, code), write(pid, theirs.begin+found.entry, entry))
}

// write changes memory that the process itself may not write to.
func write(pid int, address uint64, content []byte) error {
	memory, err := os.OpenFile(file(pid, "mem"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = memory.WriteAt(content, int64(address)) //#nosec G115 -- addresses of processes are below 1<<47
	return errors.Join(err, memory.Close())
}

func file(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }

// offset is a clock_gettime(edi clock, rsi *timespec) that adds seconds to the
// two clocks that tell the time of day. Like any function it may change rax, rcx
// and r11, and it keeps everything else.
func offset(seconds int32) []byte {
	code := []byte{
		0xb8, byte(syscall.SYS_CLOCK_GETTIME), 0, 0, 0, // 00 mov  eax, 228    the number of the system call
		0x0f, 0x05, //                                     05 syscall          with edi and rsi as they are
		0x85, 0xc0, //                                     07 test eax, eax
		0x75, 0x10, //                                     09 jnz  1b          it has failed
		0x85, 0xff, //                                     0b test edi, edi
		0x74, 0x05, //                                     0d jz   14          CLOCK_REALTIME is 0
		0x83, 0xff, 0x05, //                               0f cmp  edi, 5
		0x75, 0x07, //                                     12 jne  1b          CLOCK_REALTIME_COARSE is 5
		0x48, 0x81, 0x06, 0, 0, 0, 0, //                   14 add  qword [rsi], seconds
		0xc3, //                                           1b ret
	}
	binary.LittleEndian.PutUint32(code[0x17:], uint32(seconds)) //#nosec G115 -- the same bits
	return code
}

// jump leads from one place to another.
func jump(from, to uint64) []byte {
	code := []byte{0xe9, 0, 0, 0, 0}                                           // jmp to, as far from the next instruction as it says
	binary.LittleEndian.PutUint32(code[1:], uint32(to-from-uint64(len(code)))) //#nosec G115 -- the same bits
	return code
}
