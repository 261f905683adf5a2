package networktest

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/network"
)

// ping sends one echo request from an interface; "" is an answer.
func ping(n network.Network, eni, to string) string {
	err := within(n, eni, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		tv := unix.NsecToTimeval(int64(silence))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return err
		}
		request := []byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}
		var sum uint32
		for i := 0; i < len(request); i += 2 {
			sum += uint32(request[i])<<8 | uint32(request[i+1])
		}
		sum = ^(sum&0xffff + sum>>16)
		request[2], request[3] = byte(sum>>8), byte(sum)
		if err := unix.Sendto(fd, request, 0, &unix.SockaddrInet4{Addr: addr(to).As4()}); err != nil {
			return err
		}
		answer := make([]byte, 100)
		for end := time.Now().Add(silence); time.Now().Before(end); {
			n, _, err := unix.Recvfrom(fd, answer, 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				return err
			}
			if n >= 28 && answer[20] == 0 && answer[24] == 0x12 && answer[25] == 0x34 {
				return nil
			}
		}
		return errors.New("timeout")
	})
	if err != nil {
		return err.Error()
	}
	return ""
}
