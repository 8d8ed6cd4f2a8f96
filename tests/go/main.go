// Three maps that grow, one of which is emptied and kept, and a slice. Writes a heap profile to
// the path it is given; with -serve, serves profiles at an address of its own choosing, which it
// prints, until its input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
)

type session struct {
	user string
	data [6]uint64
}

type store struct {
	sessions map[string]*session
	counts   map[uint64]uint64
	names    map[int]string
	log      []uint64
}

func (s *store) open(n int) {
	for i := 0; i < n; i++ {
		user := fmt.Sprintf("user-%d", i)
		s.sessions[user] = &session{user: user} // grows sessions
	}
}

func (s *store) count(n int) {
	for i := 0; i < n; i++ {
		s.counts[uint64(i)*7]++ // grows counts
	}
}

func (s *store) name(n int) {
	for i := 0; i < n; i++ {
		s.names[i] = fmt.Sprintf("name-%d", i) // grows names
	}
}

func (s *store) note(n int) {
	for i := 0; i < n; i++ {
		s.log = append(s.log, uint64(i)) // grows log
	}
}

func (s *store) close() {
	for user := range s.sessions {
		delete(s.sessions, user)
	}
}

func main() {
	runtime.MemProfileRate = 64 << 10
	s := &store{map[string]*session{}, map[uint64]uint64{}, map[int]string{}, nil}
	s.open(200_000)
	s.count(300_000)
	s.name(200_000)
	s.note(500_000)
	if len(os.Args) > 2 && os.Args[1] == "-serve" {
		serve(s)
	}
	s.close()
	write(os.Args[1])
	fmt.Println(len(s.sessions), len(s.counts), len(s.names), len(s.log))
}

// The profile is that of the last collection.
func write(path string) {
	runtime.GC()
	file, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	if err := pprof.WriteHeapProfile(file); err != nil {
		panic(err)
	}
	if err := file.Close(); err != nil {
		panic(err)
	}
}

func serve(s *store) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	go http.Serve(listener, nil)
	// One line of input lets it go on.
	step := make([]byte, 1)
	for round := 0; ; round++ {
		if _, err := io.ReadFull(os.Stdin, step); err != nil {
			os.Exit(0)
		}
		if round == 0 {
			s.close()
		} else {
			s.name((round + 1) * 200_000)
		}
		runtime.GC()
		runtime.GC()
		fmt.Println(len(s.sessions), len(s.counts), len(s.names), len(s.log))
	}
}
