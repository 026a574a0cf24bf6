// Command books balances a replay a second time. It shares no code with the replay: it
// reads the file by the rules of docs/replay.md, the shop through its CSV exports, and
// the replay's report, and exits with 1 when any figure of the three differs by a penny.
//
//	go run ./test/books --file FILE --url http://127.0.0.1:8080 --key KEY [--report report.json]
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "books:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("books", flag.ContinueOnError)
	path := flags.String("file", "", "the `file` of invoice lines that was replayed")
	url := flags.String("url", "http://127.0.0.1:8080", "`address` of the shop")
	key := flags.String("key", os.Getenv("SOUK_KEY"), "staff `key`")
	reportPath := flags.String("report", "", "`file` with the replay's own report")
	digits := flags.Int("digits", 2, "digits of the currency")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *path == "" || flags.NArg() > 0 {
		return errors.New("name the file with --file, and nothing else")
	}
	f, err := readFile(*path)
	if err != nil {
		return err
	}
	f.judge(*digits)
	s, err := ask(*url, *key)
	if err != nil {
		return err
	}
	a := settle(f, s)
	a.equation()
	if *reportPath != "" {
		err = a.compare(*reportPath)
	} else {
		a.unheard()
	}
	if err != nil {
		return err
	}
	a.print(out)
	if a.faults > 0 {
		return fmt.Errorf("%d differences", a.faults)
	}
	return nil
}
